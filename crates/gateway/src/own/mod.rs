//! What the gateway answers itself: signing in and out, who is signed in, and the way to register.

pub(crate) mod home;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod register;
pub(crate) mod session;

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Serialize;

use crate::body::AnswerBody;
use crate::problem::{Problem, Slug};
use crate::session::Session;

/// How a request brings its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// As a page sends it; it is answered with a page.
    Html,
    /// Neither.
    Other,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = value.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::Html
        } else {
            Self::Other
        }
    }
}

/// The whole body, which may neither be large nor slow.
pub(crate) async fn read(body: Incoming, most: usize, within: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(within, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Slug::BodyTooLarge.into()),
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
        Err(_) => Err(Slug::RequestTimeout.into()),
    }
}

/// Who is signed in, and until when without another visit.
#[derive(Debug, Serialize)]
struct Person<'a> {
    user_id: &'a str,
    username: &'a str,
    /// RFC 3339.
    expires_at: String,
}

/// 200 with that.
pub(crate) fn person(session: &Session) -> Response<AnswerBody> {
    let expires_at = i64::try_from(session.expires_at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let person = Person {
        user_id: &session.user_id,
        username: &session.username,
        expires_at: expires_at.unwrap_or(jiff::Timestamp::MAX).to_string(),
    };
    match serde_json::to_string(&person) {
        Ok(json) => crate::pages::json(StatusCode::OK, json),
        Err(_) => Problem::from(Slug::Internal).into(),
    }
}
