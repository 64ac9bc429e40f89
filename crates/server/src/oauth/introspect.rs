//! `POST /oauth/introspect` (RFC 7662): 200 with what is known, or exactly `{"active":false}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use propusk_core::introspection::{self, Active};
use propusk_core::secret::{PlainSecret, REFRESH_TOKEN_PREFIX};
use propusk_core::store::{Client, StoreError};
use serde_json::json;

use super::client_auth;
use super::error::OAuthError;
use super::form::Form;
use crate::app::App;

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = client_auth::authenticate(&app, &headers, &form).await?;
    let active = look_up(&app, client, form.need("token")?).await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(match active {
        Some(active) => (no_store, Json(active)).into_response(),
        None => (no_store, Json(json!({ "active": false }))).into_response(),
    })
}

async fn look_up(app: &App, client: Client, token: &str) -> Result<Option<Active>, StoreError> {
    if token.starts_with(REFRESH_TOKEN_PREFIX) {
        let presented = PlainSecret::presented(token);
        let issuer = app.settings.issuer.clone();
        return app.read(move |tx, env| introspection::refresh_token(tx, env, &issuer, &client, &presented)).await;
    }
    match app.verify_any(token) {
        Ok(token) => app.read(move |tx, _| introspection::access_token(tx, &client, &token)).await,
        Err(_) => Ok(None),
    }
}
