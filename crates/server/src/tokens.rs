//! The answer that carries tokens.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use propusk_core::grants::TokenSet;
use propusk_core::store::StoreError;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::App;

/// RFC 6749 section 5.1, with RFC 8693's `issued_token_type` for an exchange.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokenAnswer {
    #[schema(value_type = String)]
    access_token: Secret,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    refresh_token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

struct Secret(Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl TokenAnswer {
    /// Signs the access token of a grant.
    pub(crate) async fn sign(app: &Arc<App>, set: TokenSet) -> Result<Self, StoreError> {
        let expires_in = set.access.expires_in;
        let access_token = Secret(app.sign(set.access).await?);
        let (refresh_token, refresh_expires_in) = set.refresh.unzip();
        Ok(Self {
            access_token,
            token_type: "Bearer",
            expires_in,
            refresh_token: refresh_token.map(|token| Secret(Zeroizing::new(token.expose().to_owned()))),
            refresh_expires_in,
            issued_token_type: None,
        })
    }

    pub(crate) fn exchanged(self) -> Self {
        Self { issued_token_type: Some("urn:ietf:params:oauth:token-type:access_token"), ..self }
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        let headers = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::PRAGMA, HeaderValue::from_static("no-cache")),
        ];
        (headers, Json(self)).into_response()
    }
}
