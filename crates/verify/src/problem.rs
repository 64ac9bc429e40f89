//! Problem documents (RFC 9457): the one form of error that our HTTP answers have.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

/// What every problem type begins with; a slug follows.
pub const TYPE_PREFIX: &str = "urn:propusk:problem:";

/// The media type.
pub const CONTENT_TYPE_PROBLEM: &str = "application/problem+json";

/// One member of the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) into the request body.
    pub pointer: String,
    /// What is wrong with it, for people.
    pub detail: String,
}

/// A problem document.
///
/// ```
/// use propusk_verify::problem::Problem;
/// let problem = Problem::new(409, "already-sold", "The car is sold").with("car_id", 7);
/// assert_eq!(
///     problem.to_json(),
///     r#"{"car_id":7,"status":409,"title":"The car is sold","type":"urn:propusk:problem:already-sold"}"#,
/// );
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: u16,
    slug: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem of the type `urn:propusk:problem:` + `slug`. The title says what the type means, whatever the request.
    pub fn new(status: u16, slug: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            slug: slug.into(),
            title: title.into(),
            detail: None,
            errors: Vec::new(),
            more: Map::new(),
            retry_after: None,
        }
    }

    /// What is wrong with this request in particular.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names one wrong member of the request.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds a member of its own.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.more.insert(name.into(), value.into());
        self
    }

    /// Adds a `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The type without its prefix.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The document.
    pub fn to_json(&self) -> String {
        let mut members = self.more.clone();
        members.insert("type".into(), format!("{TYPE_PREFIX}{}", self.slug).into());
        members.insert("title".into(), self.title.clone().into());
        members.insert("status".into(), self.status.into());
        if let Some(detail) = &self.detail {
            members.insert("detail".into(), detail.clone().into());
        }
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(|error| {
                Value::Object(Map::from_iter([
                    ("pointer".to_owned(), error.pointer.clone().into()),
                    ("detail".to_owned(), error.detail.clone().into()),
                ]))
            });
            members.insert("errors".into(), errors.collect());
        }
        Value::Object(members).to_string()
    }

    /// The whole answer. It is not to be stored by caches.
    pub fn to_http(&self) -> Response<String> {
        let mut response = Response::new(self.to_json());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_PROBLEM));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_with_all_members() {
        let problem = Problem::new(422, "invalid-field", "A field is invalid")
            .detail("two fields are wrong")
            .error("/password", "too short")
            .error("/username", "mixes scripts")
            .with("limit", 15)
            .retry_after(3);
        let expected = r#"{"detail":"two fields are wrong","errors":[{"detail":"too short","pointer":"/password"},{"detail":"mixes scripts","pointer":"/username"}],"limit":15,"status":422,"title":"A field is invalid","type":"urn:propusk:problem:invalid-field"}"#;
        assert_eq!(problem.to_json(), expected);
        let response = problem.to_http();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "3");
    }

    #[test]
    fn own_members_do_not_hide_the_standard_ones() {
        let problem = Problem::new(400, "x", "y").with("status", 200).with("type", "other");
        assert_eq!(problem.to_json(), r#"{"status":400,"title":"y","type":"urn:propusk:problem:x"}"#);
    }
}
