//! Everything the gateway refuses, as a problem document (RFC 9457) and in one table; what is said about tokens comes
//! from the table that every verifier answers by.

use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Response, StatusCode};
use propusk_verify::Verdict;
use propusk_verify::decision::Report;
use propusk_verify::problem::Problem as Document;

use crate::body::AnswerBody;

/// What a verifier decided (`none`, `invalid`, `refused` …).
pub(crate) const VERDICT: HeaderName = HeaderName::from_static("propusk-verdict");
/// How it decided, for those who look for faults.
pub(crate) const DECISION: HeaderName = HeaderName::from_static("propusk-decision");

const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"propusk\", charset=\"UTF-8\"");
/// The realm where no service is named.
const REALM: &str = "propusk";

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slug {
    BadRequest,
    InvalidCredentials,
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
    /// What a verifier says.
    Token(Verdict),
}

impl From<Verdict> for Slug {
    fn from(verdict: Verdict) -> Self {
        Self::Token(verdict)
    }
}

impl Slug {
    fn document(self) -> Document {
        let (status, slug, title) = match self {
            Self::BadRequest => (400, "bad-request", "The request cannot be understood"),
            Self::InvalidCredentials => (401, "invalid-credentials", "Wrong username or password"),
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
            Self::Token(verdict) => return verdict.problem(),
        };
        Document::new(status, slug, title)
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.document().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The words for people, where the gateway answers with a page.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::InvalidCredentials => "That username and password do not go together. Try again.",
            Self::Throttled => "Too many attempts. Wait a moment, then try again.",
            Self::Busy => "Many people are signing in right now. Try again in a moment.",
            Self::AuthorityUnavailable => "Sign-in is not available right now. Try again in a moment.",
            Self::Token(Verdict::Unknown) => "We cannot check your session right now. Try again in a moment.",
            _ => "Something went wrong on our side. Try again in a moment.",
        }
    }

    /// `Propusk-Verdict`.
    fn verdict(self) -> Option<&'static str> {
        match self {
            Self::Token(verdict) => Some(verdict.header()),
            Self::InvalidCredentials => Some(Verdict::Invalid.header()),
            _ => None,
        }
    }

    /// The Bearer challenge (RFC 6750 section 3).
    fn challenge(self, realm: &str) -> Option<String> {
        match self {
            Self::Token(verdict) => verdict.www_authenticate(realm),
            // No token was shown, so no token is wrong.
            Self::InvalidCredentials => Verdict::None.www_authenticate(realm),
            _ => None,
        }
    }
}

/// A refusal on its way to become an answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) slug: Slug,
    detail: Option<String>,
    pub(crate) retry_after_s: Option<u64>,
    realm: Option<String>,
    offers_basic: bool,
    allow: Option<&'static str>,
    decision: Option<String>,
}

impl From<Verdict> for Problem {
    fn from(verdict: Verdict) -> Self {
        Slug::from(verdict).into()
    }
}

impl From<Slug> for Problem {
    fn from(slug: Slug) -> Self {
        let retry_after_s = if let Slug::Token(verdict) = slug { verdict.retry_after() } else { None };
        Self { slug, detail: None, retry_after_s, realm: None, offers_basic: false, allow: None, decision: None }
    }
}

impl Problem {
    /// With words on this very occurrence; they may name members and rules, never values.
    pub(crate) fn detail(slug: impl Into<Slug>, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..slug.into().into() }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::detail(Slug::BadRequest, detail)
    }

    pub(crate) fn retry_after(slug: Slug, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds.max(1)), ..slug.into() }
    }

    /// 405, with the methods that there are.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Slug::MethodNotAllowed.into() }
    }

    /// Names the service that a challenge is for.
    pub(crate) fn realm(self, realm: &str) -> Self {
        Self { realm: Some(realm.to_owned()), ..self }
    }

    /// Says that Basic would do, too. Not to be said to a page's own scripts: browsers would ask for a password in
    /// a window of their own.
    pub(crate) fn offer_basic(self) -> Self {
        Self { offers_basic: true, ..self }
    }

    /// Says how the decision came about.
    pub(crate) fn decided_by(self, report: &Report) -> Self {
        Self { decision: Some(report.to_string()), ..self }
    }

    pub(crate) fn into_answer(self) -> Response<AnswerBody> {
        let mut document = self.slug.document();
        if let Some(detail) = self.detail {
            document = document.detail(detail);
        }
        let mut answer = document.to_http().map(AnswerBody::from);
        let headers = answer.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(verdict) = self.slug.verdict() {
            headers.insert(VERDICT, HeaderValue::from_static(verdict));
        }
        if let Some(challenge) = self.slug.challenge(self.realm.as_deref().unwrap_or(REALM))
            && let Ok(challenge) = HeaderValue::try_from(challenge)
        {
            headers.append(WWW_AUTHENTICATE, challenge);
            if self.offers_basic {
                headers.append(WWW_AUTHENTICATE, BASIC_CHALLENGE);
            }
        }
        if let Some(decision) = self.decision.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(DECISION, decision);
        }
        answer
    }
}

impl From<Problem> for Response<AnswerBody> {
    fn from(problem: Problem) -> Self {
        problem.into_answer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(problem: Problem, name: &str) -> String {
        let answer = problem.into_answer();
        let values = answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn challenges() {
        let none = Problem::from(Verdict::None).realm("cars");
        assert_eq!(header(none.clone(), "www-authenticate"), "Bearer realm=\"cars\"");
        let both = "Bearer realm=\"cars\" | Basic realm=\"propusk\", charset=\"UTF-8\"";
        assert_eq!(header(none.offer_basic(), "www-authenticate"), both);
        let wrong = Problem::from(Slug::InvalidCredentials).realm("cars").offer_basic();
        assert_eq!(header(wrong.clone(), "www-authenticate"), both);
        assert_eq!(header(wrong, "propusk-verdict"), "invalid");
        let refused = Problem::from(Verdict::Refused);
        assert_eq!(header(refused, "www-authenticate"), "Bearer realm=\"propusk\", error=\"invalid_token\"");
        assert_eq!(header(Slug::Csrf.into(), "www-authenticate"), "");
    }

    #[test]
    fn what_to_do_next() {
        assert_eq!(header(Verdict::Unknown.into(), "retry-after"), "1");
        assert_eq!(header(Problem::retry_after(Slug::Throttled, 0), "retry-after"), "1");
        assert_eq!(header(Problem::method_not_allowed("GET, HEAD"), "allow"), "GET, HEAD");
        assert_eq!(header(Slug::NotFound.into(), "cache-control"), "no-store");
        assert_eq!(header(Slug::NotFound.into(), "content-type"), "application/problem+json");
    }
}
