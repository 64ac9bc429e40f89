//! JSON in, problem documents (RFC 9457) out.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::decision::Refusal;
use crate::problem::Problem;

/// An error as a handler returns it: a problem of its own, or that the caller is not let through after all.
///
/// ```
/// use propusk_verify::axum::{ApiError, EliteProof};
/// use propusk_verify::problem::Problem;
/// async fn buy(proof: EliteProof) -> Result<&'static str, ApiError> {
///     proof.still_valid().await?;
///     Err(Problem::new(409, "already-sold", "The car is sold").into())
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum ApiError {
    /// Told as it is.
    Problem(Box<Problem>),
    /// Answered by the route's guard, as if it had been its own decision.
    Refused(Refusal),
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem_response(&problem),
            Self::Refused(refusal) => {
                let mut response = problem_response(&refusal.verdict().problem());
                response.extensions_mut().insert(refusal);
                response
            }
        }
    }
}

/// A problem document as an answer.
pub fn problem_response(problem: &Problem) -> Response {
    problem.to_http().map(Body::from)
}

/// A JSON body (RFC 8259) that is an object. One of another media type, a member that nobody knows (with `deny_unknown_fields`), a
/// missing one, one that comes twice or has another type is refused, and what was wrong is named.
#[derive(Debug, Clone, Copy)]
pub struct StrictJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for StrictJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let problem = Problem::new(415, "unsupported-media-type", "The body is not of the wanted kind");
            return Err(problem.detail("Send JSON with Content-Type: application/json.").into());
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(413, "too-large", "The body is too large")
            } else {
                bad_request("The body could not be read.")
            }
        })?;
        Self::from_slice(&body)
    }
}

impl<T: DeserializeOwned> StrictJson<T> {
    /// Reads a body that is there already.
    ///
    /// # Errors
    /// Names the member that is wrong.
    pub fn from_slice(body: &[u8]) -> Result<Self, ApiError> {
        parse(body).map(Self)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Else an array would be read as the values of the members, in the order in which the code happens to have them.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(bad_request("an object is expected").into());
    }
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        bad_request(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what)).into()
    })
}

fn bad_request(detail: &str) -> Problem {
    Problem::new(400, "bad-request", "The request is not well-formed").detail(detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only whether it is there counts")]
        amount: u32,
    }

    #[test]
    fn errors_name_the_member() {
        let detail = |body: &str| match parse::<Body>(body.as_bytes()).unwrap_err() {
            ApiError::Problem(problem) => problem.to_json(),
            ApiError::Refused(refusal) => panic!("{refusal}"),
        };
        assert!(parse::<Body>(br#"{"amount":1}"#).is_ok());
        assert!(detail(r#"{"amount":1,"other":2}"#).contains("unknown field `other`, expected `amount`"));
        assert!(detail(r"{}").contains("missing field `amount`"));
        assert!(detail(r#"{"amount":1,"amount":1}"#).contains("duplicate field `amount`"));
        assert!(detail(r#"{"amount":-1}"#).contains("invalid value"));
        for array in ["[1]", " \t\r\n[1]", "[]"] {
            assert!(detail(array).contains("an object is expected"), "{array}");
        }
    }
}
