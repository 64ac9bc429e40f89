//! RFC 6749 section 5.2.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use propusk_core::clients::ClientAuthError;
use propusk_core::grants::GrantError;
use propusk_core::store::StoreError;
use propusk_core::target::TargetError;
use serde::Serialize;

use crate::hashing::HashingError;
use crate::sign_in::SignInError;
use crate::throttle::NotNow;

/// An error answer of the token, introspection and revocation endpoints.
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl OAuthError {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), retry_after_s: None }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::invalid_request(format!("{parameter} is missing"))
    }

    pub(super) fn invalid_client() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "client authentication failed")
    }

    pub(super) fn invalid_scope() -> Self {
        let text = "no scope is registered: leave scope out; what a token may do is told by its roles";
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", text)
    }

    pub(super) fn unsupported_grant_type() -> Self {
        let known = propusk_core::store::GrantType::ALL.map(|grant| grant.as_str()).join(", ");
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", format!("grant_type is one of {known}"))
    }

    pub(super) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "the body is too large")
    }

    fn unavailable() -> Self {
        let text = "too much is going on: try again";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text);
        Self { retry_after_s: Some(1), ..error }
    }

    fn throttled(retry_after_s: u64) -> Self {
        let text = "too many failed attempts: wait as long as Retry-After says";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", text);
        Self { retry_after_s: Some(retry_after_s), ..error }
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "something went wrong on our side")
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        // RFC 6749 allows printable ASCII without quotes and backslashes only.
        let description: String =
            self.description.chars().filter(|c| matches!(c, ' '..='~') && !"\"\\".contains(*c)).collect();
        let body = Body { error: self.error, error_description: &description };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"propusk\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::unavailable(),
            StoreError::Failed(error) => {
                tracing::error!(%error, "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<SignInError> for OAuthError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Hashing(HashingError::Busy) => Self::unavailable(),
            SignInError::Hashing(HashingError::Failed(error)) => {
                tracing::error!(%error, "password hashing failed");
                Self::internal()
            }
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<NotNow> for OAuthError {
    fn from(error: NotNow) -> Self {
        match error {
            NotNow::Throttled(seconds) => Self::throttled(seconds),
            NotNow::Busy => Self::unavailable(),
        }
    }
}

impl From<ClientAuthError> for OAuthError {
    fn from(error: ClientAuthError) -> Self {
        match error {
            ClientAuthError::Refused => Self::invalid_client(),
            ClientAuthError::Store(error) => error.into(),
        }
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let text = error.to_string();
        match error {
            GrantError::UnauthorizedClient => Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", text),
            GrantError::InvalidGrant(reason) => {
                tracing::info!(reason, "grant refused");
                Self::invalid_grant("the credential is unknown, expired, revoked or wrong")
            }
            GrantError::InvalidSubjectToken(_) => Self::invalid_request(text),
            GrantError::Target(error) => error.into(),
            GrantError::NoExchangeRule(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_target", text),
            GrantError::Mint(error) => StoreError::failed(error).into(),
            GrantError::Store(error) => error.into(),
        }
    }
}

impl From<TargetError> for OAuthError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Store(error) => error.into(),
            error => Self::new(StatusCode::BAD_REQUEST, "invalid_target", error.to_string()),
        }
    }
}
