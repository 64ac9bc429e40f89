//! Everything the gateway refuses, as a problem document (RFC 9457) and in one table.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Response, StatusCode};
use serde_json::json;

use crate::body::AnswerBody;

/// What a verifier decided (`none`, `invalid`, `refused` …).
pub(crate) const VERDICT: HeaderName = HeaderName::from_static("propusk-verdict");

/// One row of the table: status, slug, title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slug {
    BadRequest,
    NoCredentials,
    InvalidCredentials,
    SessionEnded,
    Csrf,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    UnsupportedMediaType,
    RequestTimeout,
    TargetTooLong,
    HeadTooLarge,
    Throttled,
    Busy,
    AuthorityUnavailable,
    UpstreamUnavailable,
    UpstreamTimeout,
    Internal,
}

impl Slug {
    /// Status, slug, title.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest => (400, "bad-request", "The request cannot be understood"),
            Self::NoCredentials => (401, "no-credentials", "Sign in first"),
            Self::InvalidCredentials => (401, "invalid-credentials", "Wrong username or password"),
            Self::SessionEnded => (401, "token-revoked", "The session has ended; sign in again"),
            Self::Csrf => (403, "csrf", "The request does not come from this site"),
            Self::NotFound => (404, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "This method is not allowed here"),
            Self::RequestTimeout => (408, "request-timeout", "The rest of the request did not come"),
            Self::BodyTooLarge => (413, "body-too-large", "The body is too large"),
            Self::TargetTooLong => (414, "target-too-long", "The address is too long"),
            Self::UnsupportedMediaType => (415, "unsupported-media-type", "Send JSON or a form"),
            Self::Throttled => (429, "throttled", "Too many attempts; wait a moment"),
            Self::HeadTooLarge => (431, "head-too-large", "The request's head is too large"),
            Self::Internal => (500, "internal", "Something went wrong here"),
            Self::UpstreamUnavailable => (502, "upstream-unavailable", "The service cannot be reached"),
            Self::AuthorityUnavailable => (503, "authority-unavailable", "The authority cannot be reached"),
            Self::Busy => (503, "busy", "Too many sign-ins at once; try again"),
            Self::UpstreamTimeout => (504, "upstream-timeout", "The service took too long"),
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn title(self) -> &'static str {
        self.row().2
    }

    /// The verdict of CONTRACT 5, and the challenge's error, where there is one.
    const fn verdict(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::NoCredentials => Some(("none", None)),
            Self::SessionEnded => Some(("refused", Some("invalid_token"))),
            Self::InvalidCredentials => Some(("invalid", None)),
            _ => None,
        }
    }
}

/// A refusal on its way to become an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) slug: Slug,
    detail: Option<String>,
    pub(crate) retry_after_s: Option<u64>,
}

impl From<Slug> for Problem {
    fn from(slug: Slug) -> Self {
        Self { slug, detail: None, retry_after_s: None }
    }
}

impl Problem {
    /// With words on this very occurrence; they may name members and rules, never values.
    pub(crate) fn detail(slug: Slug, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..slug.into() }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::detail(Slug::BadRequest, detail)
    }

    pub(crate) fn retry_after(slug: Slug, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds.max(1)), ..slug.into() }
    }

    pub(crate) fn into_answer(self) -> Response<AnswerBody> {
        let (status, slug, title) = self.slug.row();
        let mut document = json!({
            "type": format!("urn:propusk:problem:{slug}"),
            "title": title,
            "status": status,
        });
        if let (Some(detail), Some(object)) = (self.detail, document.as_object_mut()) {
            object.insert("detail".to_owned(), detail.into());
        }
        let mut answer = Response::new(AnswerBody::from(document.to_string()));
        *answer.status_mut() = self.slug.status();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some((verdict, error)) = self.slug.verdict() {
            headers.insert(VERDICT, HeaderValue::from_static(verdict));
            let bearer = if error.is_some() {
                HeaderValue::from_static("Bearer realm=\"propusk\", error=\"invalid_token\"")
            } else {
                HeaderValue::from_static("Bearer realm=\"propusk\"")
            };
            headers.append(WWW_AUTHENTICATE, bearer);
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"propusk\", charset=\"UTF-8\""),
            );
        }
        answer
    }
}

impl From<Problem> for Response<AnswerBody> {
    fn from(problem: Problem) -> Self {
        problem.into_answer()
    }
}
