//! `GET /session`: who is signed in. It is decided as for any other request, so it says no as soon as they would.

use http::{Method, Request, Response};
use hyper::body::Incoming;
use propusk_verify::{Reason, Verdict};

use crate::authority::AUTHORITY_AUDIENCE;
use crate::authorize::Held;
use crate::body::AnswerBody;
use crate::credential::{self, Credential};
use crate::gateway::{Context, Gateway};
use crate::navigation::Destination;
use crate::own::person;
use crate::problem::Problem;
use crate::proxy::{refuse, renew_cookie};

/// 200 `{user_id, username, expires_at}`, or 401.
pub(crate) async fn answer(gateway: &Gateway, context: &Context, request: Request<Incoming>) -> Response<AnswerBody> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::method_not_allowed("GET, HEAD").into();
    }
    let value = match credential::credential(request.headers()) {
        Ok(Some(Credential::Cookie(value))) => value,
        Ok(_) => return credential::refuse(Reason::NoCredentials, AUTHORITY_AUDIENCE).into(),
        Err(reason) => return credential::refuse(reason, AUTHORITY_AUDIENCE).into(),
    };
    let Some(target) = gateway.routes.first() else {
        return from_cookie(gateway, &value);
    };
    let granted = match gateway.authorize(context, target, Credential::Cookie(value)).await {
        Ok(granted) => granted,
        Err(denied) => return refuse(denied, &Destination::nowhere()),
    };
    let Some(held @ Held::Cookie { slot, .. }) = &granted.held else { return Problem::from(Verdict::None).into() };
    let Some(session) = slot.current() else { return Problem::from(Verdict::Refused).into() };
    let mut answer = person(&session);
    renew_cookie(gateway, held, answer.headers_mut());
    answer
}

/// Without routes nothing can be asked.
fn from_cookie(gateway: &Gateway, value: &str) -> Response<AnswerBody> {
    let session = gateway.cookies.open(value).and_then(|session| gateway.sessions.attach(session).current());
    session.map_or_else(|| Problem::from(Verdict::Invalid).into(), |session| person(&session))
}
