//! The gateway's own pages. They work without scripts; the policy allows one style, named by its hash, and no script.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY};
use http::header::{RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{Response, StatusCode};

use crate::body::AnswerBody;
use crate::problem::{Problem, Slug};

const STYLE: &str = include_str!("../templates/base.css");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    // The template engine leaves out the line end that closes a file.
    let style = STYLE.strip_suffix('\n').unwrap_or(STYLE);
    let hash = Base64::encode_string(digest(&SHA256, style.as_bytes()).as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
});

/// The sign-in page.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage<'a> {
    /// Where to go after it; checked.
    pub(crate) return_to: &'a str,
    /// What was entered before.
    pub(crate) username: &'a str,
    /// Why it did not work.
    pub(crate) error: Option<&'a str>,
    /// The error is about what was entered.
    pub(crate) wrong: bool,
}

/// What a signed-in person sees at `/` when no service is there.
#[derive(Template)]
#[template(path = "home.html")]
pub(crate) struct HomePage<'a> {
    pub(crate) username: &'a str,
}

/// Reloads itself, so that the next request comes from this site and brings the `SameSite=Strict` cookie.
#[derive(Template)]
#[template(path = "bounce.html")]
pub(crate) struct BouncePage<'a> {
    pub(crate) url: &'a str,
}

/// After a sign-out that did not work.
#[derive(Template)]
#[template(path = "still_signed_in.html")]
pub(crate) struct StillSignedInPage {}

/// A page as an answer.
pub(crate) fn page(status: StatusCode, page: &impl Template) -> Response<AnswerBody> {
    let Ok(html) = page.render() else {
        return Problem::from(Slug::Internal).into_answer();
    };
    let mut answer = Response::new(AnswerBody::from(html));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

/// 303 to a path of this origin.
pub(crate) fn see_other(location: &str) -> Response<AnswerBody> {
    let Ok(location) = HeaderValue::from_str(location) else {
        return Problem::from(Slug::Internal).into_answer();
    };
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(LOCATION, location);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// JSON as an answer, for nobody to keep.
pub(crate) fn json(status: StatusCode, text: String) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// When to try again.
pub(crate) fn set_retry_after(answer: &mut Response<AnswerBody>, seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(page: &LoginPage<'_>) -> String {
        page.render().unwrap()
    }

    #[test]
    fn the_style_is_the_one_that_the_policy_names() {
        let html = login(&LoginPage { return_to: "/", username: "", error: None, wrong: false });
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = Base64::encode_string(digest(&SHA256, style.as_bytes()).as_ref());
        let policy = POLICY.to_str().unwrap();
        assert!(policy.contains(&format!("style-src 'sha256-{hash}';")), "{policy}\n{style:?}");
        assert!(!policy.contains("unsafe"));
        assert!(!html.contains("<script") && !html.contains(" style="));
        let is_handler = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('=');
        assert!(!html.split(" on").skip(1).any(is_handler));
    }

    #[test]
    fn what_was_entered_is_escaped() {
        let html = login(&LoginPage {
            return_to: "/\"><script>",
            username: "\"><script>alert(1)</script>",
            error: Some("Wrong <b>"),
            wrong: true,
        });
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("role=\"alert\"") && html.contains("aria-invalid"));
        let html = BouncePage { url: "/a?b=\"><script>&propusk-bounce=1" }.render().unwrap();
        assert!(!html.contains("<script"), "{html}");
    }

    #[test]
    fn the_form_has_what_people_and_their_tools_need() {
        let html = login(&LoginPage { return_to: "/cars", username: "", error: None, wrong: false });
        for piece in [
            "<html lang=\"en\">",
            "name=\"viewport\"",
            "<label for=\"username\">",
            "<label for=\"password\">",
            "name=\"return_to\" value=\"/cars\"",
            "autocomplete=\"username\"",
            "autocomplete=\"current-password\"",
            "id=\"sign-in\" type=\"submit\"",
            "<title>Sign in · Propusk</title>",
        ] {
            assert!(html.contains(piece), "{piece}\n{html}");
        }
        assert!(!html.contains("role=\"alert\""));
    }
}
