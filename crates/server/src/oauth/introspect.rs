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
