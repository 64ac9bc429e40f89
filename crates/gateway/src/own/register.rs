//! `POST /auth/register`: the one call of the authority that is reachable from outside. It passes as it is.

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::authority::AUTHORITY_AUDIENCE;
use crate::body::AnswerBody;
use crate::credential::{self, session_cookie};
use crate::csrf;
use crate::forward::{Outgoing, Passing, body_of};
use crate::framing::io::ConnectionState;
use crate::gateway::{Context, Gateway};
use crate::pool::SendTimeouts;
use crate::problem::{Problem, Slug};

/// What the authority answers.
pub(crate) async fn answer(
    gateway: &Gateway,
    context: &Context,
    connection: &ConnectionState,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    if *request.method() != Method::POST {
        return Problem::method_not_allowed("POST").into();
    }
    let checked = match session_cookie(request.headers()) {
        Ok(Some(_)) => csrf::check(request.headers(), gateway.public_origin.as_ref()),
        Ok(None) => Ok(()),
        Err(reason) => Err(credential::refuse(reason, AUTHORITY_AUDIENCE)),
    };
    if let Err(problem) = checked {
        return problem.into();
    }
    let (parts, body) = request.into_parts();
    let timeouts = SendTimeouts { connect: gateway.timeouts.connect, answer: gateway.timeouts.authority };
    let passing = Passing { connection, timeouts };
    let sent = passing.send(gateway.authority.upstream(), Outgoing::new(context, parts), None, body_of(body)).await;
    sent.unwrap_or_else(|problem| match problem.slug {
        Slug::UpstreamUnavailable | Slug::UpstreamTimeout => Problem::retry_after(Slug::AuthorityUnavailable, 1).into(),
        _ => problem.into(),
    })
}
