//! `POST /oauth/introspect` (RFC 7662): 200 with what is known, or exactly `{"active":false}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use propusk_core::env::Env;
use propusk_core::introspection::{self, Active};
use propusk_core::secret::{PlainSecret, REFRESH_TOKEN_PREFIX};
use propusk_core::settings::Settings;
use propusk_core::store::{Client, Tx};
use propusk_verify::token::VerifiedToken;
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
    let asked = Asked::of(&app, form.get("token"));
    let settings = Arc::clone(&app.settings);
    let active = client_auth::answer_to(&app, &origin, &headers, &form, move |tx, env, client| {
        look_up(tx, env, &settings, &client, &asked)
    })
    .await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(match active {
        Some(active) => (no_store, Json(active)).into_response(),
        None => (no_store, Json(json!({ "active": false }))).into_response(),
    })
}

/// What is asked about.
enum Asked {
    Nothing,
    Refresh(PlainSecret),
    Access(Arc<VerifiedToken>),
    /// No token of ours.
    Other,
}

impl Asked {
    /// A token that was verified before costs no signature check.
    fn of(app: &App, token: Option<&str>) -> Self {
        match token {
            None => Self::Nothing,
            Some(token) if token.starts_with(REFRESH_TOKEN_PREFIX) => Self::Refresh(PlainSecret::presented(token)),
            Some(token) => app.verify_any(token).map_or(Self::Other, Self::Access),
        }
    }
}

/// In the snapshot in which the client was authenticated, and not before: to others nothing is said.
fn look_up(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    client: &Client,
    asked: &Asked,
) -> Result<Option<Active>, OAuthError> {
    Ok(match asked {
        Asked::Nothing => return Err(OAuthError::missing("token")),
        Asked::Refresh(token) => introspection::refresh_token(tx, env, &settings.issuer, client, token)?,
        Asked::Access(token) => introspection::access_token(tx, client, token)?,
        Asked::Other => None,
    })
}
