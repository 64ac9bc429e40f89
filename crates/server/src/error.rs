//! What a JSON call answers when it cannot do what was asked: problem details (RFC 9457).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use propusk_core::store::StoreError;
use serde::Serialize;

use crate::hashing::HashingError;

/// A problem document. `type` is `urn:propusk:problem:` and the slug.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
}

/// What is wrong with one member of the request.
#[derive(Debug, Serialize)]
pub(crate) struct FieldError {
    /// A JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// What would be right.
    pub(crate) detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    pub(crate) fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self { status, slug, title, detail: None, errors: Vec::new(), retry_after_s: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not well-formed").detail(detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing").detail(detail)
    }

    pub(crate) fn invalid_field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", "A member has a wrong value");
        Self { errors, ..problem }
    }

    pub(crate) fn busy() -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much is going on; try again");
        Self { retry_after_s: Some(1), ..problem }
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    pub(crate) fn last_admin() -> Self {
        Self::new(StatusCode::CONFLICT, "last-admin", "The last administrator stays")
            .detail("Give propusk/admin to somebody else first.")
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            kind: format!("urn:propusk:problem:{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail.as_deref(),
            errors: &self.errors,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::busy(),
            StoreError::Failed(error) => {
                tracing::error!(%error, "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<HashingError> for Problem {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::busy(),
            HashingError::Failed(error) => {
                tracing::error!(%error, "password hashing failed");
                Self::internal()
            }
        }
    }
}
