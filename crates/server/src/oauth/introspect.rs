//! `POST /oauth/introspect` (RFC 7662): 200 with what is known, or exactly `{"active":false}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use propusk_core::env::Env;
use propusk_core::introspection::{self, Active};
use propusk_core::refresh_token;
use propusk_core::secret::PlainSecret;
use propusk_core::store::{Client, Tx};
use serde_json::json;

use super::client_auth;
use super::error::OAuthError;
use super::form::Form;
use crate::app::App;
use crate::extract::Origin;

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let (shared, token) = (Arc::clone(&app), form.get("token").map(str::to_owned));
    let active = client_auth::answer_to(&app, &origin, &headers, &form, move |tx, env, client| match &token {
        Some(token) => look_up(tx, env, &shared, &client, token),
        None => Err(OAuthError::missing("token")),
    })
    .await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(match active {
        Some(active) => (no_store, Json(active)).into_response(),
        None => (no_store, Json(json!({ "active": false }))).into_response(),
    })
}

/// In the snapshot in which the client was authenticated, and not before: to others nothing is said, and for them no
/// signature is checked.
fn look_up(tx: &dyn Tx, env: Env<'_>, app: &App, client: &Client, token: &str) -> Result<Option<Active>, OAuthError> {
    if token.starts_with(refresh_token::PREFIX) {
        let token = PlainSecret::presented(token);
        return Ok(introspection::refresh_token(tx, env, &app.settings.issuer, client, &token)?);
    }
    match app.verify_any(token) {
        Ok(token) => Ok(introspection::access_token(tx, client, &token)?),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts as _;
    use base64ct::{Base64, Encoding as _};
    use propusk_core::grants::client_credentials;
    use propusk_core::store::StoreError;
    use propusk_core::target::Target;

    use super::*;
    use crate::{demo, known_tokens};

    /// A signature costs more than all the rest.
    #[tokio::test]
    async fn for_a_stranger_no_signature_is_checked() {
        const SECRET: &str = "psk_known";
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened(dir.path()).await;
        let secret = PlainSecret::presented(SECRET).hash();
        let written = app.write(move |tx, _| {
            let cars = tx.client(&"cars".parse().unwrap())?.unwrap();
            tx.update_client(&Client { secret: Some(secret), ..cars })?;
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
        let settings = app.settings.clone();
        let granted = app.read(move |tx, env| {
            let client = tx.client(&"demo-m2m".parse().unwrap())?.unwrap();
            let target = Target { audience: Some("cars".to_owned()), resource: None };
            client_credentials::grant(tx, env, &settings, client, &target)
        });
        let token = app.sign(granted.await.unwrap().access).await.unwrap();
        let (mut parts, ()) = http::Request::new(()).into_parts();
        let Ok(origin) = Origin::from_request_parts(&mut parts, &app).await;
        for (secret, is_let_in) in [("psk_guessed", false), (SECRET, true)] {
            let basic = format!("Basic {}", Base64::encode_string(format!("cars:{secret}").as_bytes()));
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&basic).unwrap())]);
            let form = Form::parse(format!("token={}", *token).as_bytes()).unwrap();
            let answer = handle(State(Arc::clone(&app)), origin.clone(), headers, form).await;
            assert_eq!(answer.is_ok(), is_let_in);
            let is_known = app.known_tokens.get(&known_tokens::hash(&token), &app.rings.load()).is_some();
            assert_eq!(is_known, is_let_in, "whether it was verified");
        }
        app.store.close().await;
    }
}
