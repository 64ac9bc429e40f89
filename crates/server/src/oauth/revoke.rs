//! `POST /oauth/revoke` (RFC 7009): 200 and `Propusk-Enforcement`, also for a token that there is not.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use propusk_core::log;
use propusk_core::refresh_token;
use propusk_core::revocation;
use propusk_core::secret::PlainSecret;
use propusk_core::store::{Client, StoreError};

use super::client_auth;
use super::error::OAuthError;
use super::form::Form;
use crate::app::App;
use crate::enforcement::Wait;
use crate::extract::Origin;

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let wait = Wait::by_default();
    let client = client_auth::authenticate(&app, &origin, &headers, &form).await?;
    let seq = match revoke(&app, &origin, client, form.need("token")?).await? {
        Some(seq) => seq,
        None => app.read(|tx, _| log::nothing_changed(tx)).await?,
    };
    Ok((StatusCode::OK, [app.enforce(seq, wait).await.header()]).into_response())
}

async fn revoke(app: &App, origin: &Origin, client: Client, token: &str) -> Result<Option<u64>, StoreError> {
    let actor = origin.actor(client.id.to_string());
    if token.starts_with(refresh_token::PREFIX) {
        let presented = PlainSecret::presented(token);
        return app.write(move |tx, env| revocation::refresh_token(tx, env, &actor, &client.id, &presented)).await;
    }
    match app.verify_any(token) {
        Ok(token) => app.write(move |tx, env| revocation::own_access_token(tx, env, &actor, &client.id, &token)).await,
        Err(_) => Ok(None),
    }
}
