//! `GET /`, where no service is there: who is signed in, and the way out.

use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use propusk_verify::Verdict;

use crate::body::AnswerBody;
use crate::credential::session_cookie;
use crate::gateway::Gateway;
use crate::navigation::{Destination, without_cookie};
use crate::pages::{HomePage, page};
use crate::problem::Problem;

/// A page for people.
pub(crate) fn answer(gateway: &Gateway, request: &Request<Incoming>) -> Response<AnswerBody> {
    if let Some(username) = username(gateway, request.headers()) {
        return page(StatusCode::OK, &HomePage { username: &username });
    }
    let destination = Destination::of(request);
    let led = if request.headers().contains_key(http::header::COOKIE) {
        destination.sign_in()
    } else {
        without_cookie(request, &destination)
    };
    led.unwrap_or_else(|| Problem::from(Verdict::None).into())
}

/// As the cookie says; nothing is decided by it.
fn username(gateway: &Gateway, headers: &HeaderMap) -> Option<String> {
    let value = session_cookie(headers).ok().flatten()?;
    let session = gateway.sessions.attach(gateway.cookies.open(&value)?).current()?;
    Some(session.username.clone())
}
