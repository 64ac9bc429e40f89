//! `POST /logout`: the session ends at the authority, which waits until that is enforced; only then the cookie goes.

use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::authority::{AUTHORITY_AUDIENCE, AuthorityError, ENFORCEMENT};
use crate::authorize::authority_problem;
use crate::body::AnswerBody;
use crate::credential::{self, session_cookie};
use crate::csrf;
use crate::gateway::{Context, Gateway};
use crate::own::Form;
use crate::pages::{StillSignedInPage, page, see_other};
use crate::problem::Problem;
use crate::session::cookie;

/// 204, or 303 to `/` for a page; also without a session.
pub(crate) async fn answer(gateway: &Gateway, context: &Context, request: Request<Incoming>) -> Response<AnswerBody> {
    if *request.method() != Method::POST {
        return Problem::method_not_allowed("POST").into();
    }
    // With or without a cookie: the answer takes the cookie away, even one that was held back.
    if let Err(problem) = csrf::check(request.headers(), gateway.public_origin.as_ref()) {
        return problem.into();
    }
    let is_page = Form::of(request.headers()) == Form::Html;
    let value = match session_cookie(request.headers()) {
        Ok(value) => value,
        Err(reason) => return credential::refuse(reason, AUTHORITY_AUDIENCE).into(),
    };
    match end(gateway, context, value.as_deref()).await {
        Ok(enforcement) => signed_out(is_page, enforcement),
        Err(error) => failed(is_page, authority_problem(&error)),
    }
}

/// What the authority says of the end's enforcement; nothing if there was nothing to end.
async fn end(
    gateway: &Gateway,
    context: &Context,
    cookie: Option<&str>,
) -> Result<Option<HeaderValue>, AuthorityError> {
    let Some(session) = cookie.and_then(|value| gateway.cookies.open(value)) else { return Ok(None) };
    let slot = gateway.sessions.attach(session);
    let Some(session) = slot.current() else { return Ok(None) };
    let (authority, request_id) = (gateway.authority.clone(), context.request_id.clone());
    // In a task of its own: who signs out and closes the window is signed out all the same.
    let ending = tokio::spawn(async move {
        let ended = authority.revoke(&session.refresh, &request_id).await;
        // If the authority cannot be reached nothing has ended, and trying again must be possible.
        if matches!(ended, Ok(_) | Err(AuthorityError::Refused)) {
            slot.end();
        }
        ended
    });
    match ending.await {
        Ok(Err(AuthorityError::Refused)) => Ok(None),
        Ok(ended) => ended,
        Err(_) => Err(AuthorityError::Unavailable { retry_after_s: None }),
    }
}

fn signed_out(is_page: bool, enforcement: Option<HeaderValue>) -> Response<AnswerBody> {
    let mut answer = if is_page { see_other("/") } else { Response::new(AnswerBody::empty()) };
    if !is_page {
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SET_COOKIE, cookie::cleared());
    if let Some(enforcement) = enforcement {
        headers.insert(ENFORCEMENT, enforcement);
    }
    answer
}

fn failed(is_page: bool, problem: Problem) -> Response<AnswerBody> {
    if !is_page {
        return problem.into();
    }
    let mut answer = page(problem.slug.status(), &StillSignedInPage {});
    crate::pages::set_retry_after(&mut answer, problem.retry_after_s);
    answer
}
