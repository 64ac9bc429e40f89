//! What a JSON call answers when it cannot do what was asked: problem details (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::store::StoreError;
use propusk_verify::axum::ApiError;
use propusk_verify::problem;
pub(crate) use propusk_verify::problem::FieldError;

use crate::hashing::HashingError;

/// A problem document.
#[derive(Debug)]
pub(crate) struct Problem(ApiError);

impl Problem {
    pub(crate) fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self::from(problem::Problem::new(status.as_u16(), slug, title))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        problem::Problem::new(400, "bad-request", "The request is not well-formed").detail(detail).into()
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        problem::Problem::new(404, "not-found", "There is no such thing").detail(detail).into()
    }

    pub(crate) fn invalid_field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let problem = problem::Problem::new(422, "invalid-field", "A member has a wrong value");
        errors.into_iter().fold(problem, |problem, error| problem.error(error.pointer, error.detail)).into()
    }

    pub(crate) fn busy() -> Self {
        problem::Problem::new(503, "busy", "Too much is going on; try again").retry_after(1).into()
    }

    /// Too many failures; it may be tried again in so many seconds.
    pub(crate) fn throttled(retry_after_s: u64) -> Self {
        let problem = problem::Problem::new(429, "throttled", "Too many failed attempts; wait a moment");
        problem.retry_after(retry_after_s).into()
    }

    pub(crate) fn internal() -> Self {
        problem::Problem::new(500, "internal", "Something went wrong on our side").into()
    }

    pub(crate) fn last_admin() -> Self {
        problem::Problem::new(409, "last-admin", "The last administrator stays")
            .detail("Give propusk/admin to somebody else first.")
            .into()
    }

    pub(crate) fn username_taken() -> Self {
        Self::new(StatusCode::CONFLICT, "username-taken", "Somebody has this username")
    }

    /// Somebody else was faster.
    pub(crate) fn changed() -> Self {
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, "changed", "It was changed meanwhile");
        problem.detail("Read it again and decide whether the change still makes sense.")
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        match self.0 {
            ApiError::Problem(problem) => problem.detail(detail).into(),
            other @ ApiError::Refused(_) => Self(other),
        }
    }
}

impl From<problem::Problem> for Problem {
    fn from(problem: problem::Problem) -> Self {
        Self(problem.into())
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.into_response()
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
