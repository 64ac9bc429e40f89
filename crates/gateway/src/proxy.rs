//! A request that a route leads to: credential, CSRF, token, forward, and the answer with a newer cookie if there is one.

use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use propusk_verify::{Reason, Verdict};

use crate::authorize::{Denied, Granted, Held};
use crate::body::AnswerBody;
use crate::credential::{self, Credential};
use crate::csrf;
use crate::forward::{Outgoing, Passing, body_of};
use crate::framing::io::ConnectionState;
use crate::gateway::{Context, Gateway};
use crate::navigation::{self, Destination};
use crate::pool::SendTimeouts;
use crate::problem::{DECISION, Problem, VERDICT};
use crate::routes::Target;
use crate::session::cookie;
use crate::watch::Watch;

/// Answers it.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    context: &Context,
    connection: &ConnectionState,
    target: &Arc<Target>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let destination = Destination::of(&request);
    let credential = match credential::credential(request.headers()) {
        Ok(Some(credential)) => credential,
        Ok(None) => return missing(&request, &destination, target),
        Err(reason) => return refused(reason, target).into(),
    };
    if let Err(problem) = check_csrf(gateway, &credential, &request) {
        return problem.into();
    }
    let granted = match gateway.authorize(context, target, credential).await {
        Ok(granted) => granted,
        Err(denied) => return refuse(denied, &destination),
    };
    match forward(gateway, context, connection, target, &granted, request).await {
        Ok(mut answer) => {
            finish(gateway, &granted, &mut answer);
            if !answer.body().is_end_stream() {
                answer.body_mut().watched(watch(gateway, context, target, granted));
            }
            answer
        }
        Err(denied) => refuse(denied, &destination),
    }
}

/// No credential at all: a person is led to the sign-in page.
fn missing(request: &Request<Incoming>, destination: &Destination, target: &Target) -> Response<AnswerBody> {
    let led = navigation::without_cookie(request, destination);
    led.unwrap_or_else(|| refused(Reason::NoCredentials, target).into())
}

fn refused(reason: Reason, target: &Target) -> Problem {
    let problem = credential::refuse(reason, &target.audience);
    if reason.verdict() == Verdict::None { problem.offer_basic() } else { problem }
}

/// Browsers send cookies by themselves, and passwords that they remember for Basic too.
fn check_csrf(gateway: &Gateway, credential: &Credential, request: &Request<Incoming>) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let own = gateway.public_origin.as_ref();
    match credential {
        Credential::Cookie(_) => csrf::check(request.headers(), own),
        Credential::Basic(_) => csrf::check_claims(request.headers(), own),
        Credential::Bearer(_) => Ok(()),
    }
}

async fn forward(
    gateway: &Gateway,
    context: &Context,
    connection: &ConnectionState,
    target: &Target,
    granted: &Granted,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Denied> {
    let (parts, body) = request.into_parts();
    let (outgoing, body) = (Outgoing::new(context, parts), body_of(body));
    let timeouts = SendTimeouts { connect: gateway.timeouts.connect, answer: gateway.timeouts.response_header };
    let passing = Passing { connection, timeouts };
    // Nothing of a body would be left to send a second time.
    let again = (granted.held.is_some() && body.is_none()).then(|| outgoing.clone());
    let sent = passing.send(&target.upstream, outgoing, Some(&granted.token), body).await;
    let answer = sent.unwrap_or_else(Problem::into_answer);
    let Some(held) = granted.held.as_ref().filter(|_| wants_fresh_token(&answer)) else { return Ok(answer) };
    // The upstream heard of a change first. It refused, so nothing was done yet.
    held.slot().discard(&granted.token);
    let Some(outgoing) = again else { return Ok(answer) };
    drop(answer);
    let (token, _) = gateway.replace(context, target, held).await?;
    let sent = passing.send(&target.upstream, outgoing, Some(&token), None).await;
    Ok(sent.unwrap_or_else(Problem::into_answer))
}

fn wants_fresh_token(answer: &Response<AnswerBody>) -> bool {
    let verdict = answer.headers().get(VERDICT).map(HeaderValue::as_bytes);
    answer.status() == StatusCode::UNAUTHORIZED && matches!(verdict, Some(b"stale" | b"expired"))
}

/// What the gateway adds to an answer.
fn finish(gateway: &Gateway, granted: &Granted, answer: &mut Response<AnswerBody>) {
    let headers = answer.headers_mut();
    if let Some(Held::Cookie { .. }) = granted.held {
        // To caches in front, the request had no Authorization that would keep its answer from others.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    }
    if let Some(held) = &granted.held {
        renew_cookie(gateway, held, headers);
    }
    if gateway.debug_headers
        && !headers.contains_key(DECISION)
        && let Ok(value) = HeaderValue::try_from(granted.report.to_string())
    {
        headers.insert(DECISION, value);
    }
}

/// Decides again on an answer that lasts. It also keeps the session of a Basic pair as long.
fn watch(gateway: &Arc<Gateway>, context: &Context, target: &Arc<Target>, granted: Granted) -> Watch {
    let shared = Arc::new((gateway.clone(), context.clone(), target.clone(), granted));
    Watch::new(gateway.max_staleness, move || {
        let shared = shared.clone();
        async move {
            let (gateway, context, target, Granted { token, held, .. }) = &*shared;
            gateway.still_stands(context, target, token, held.as_ref()).await
        }
        .boxed()
    })
}

/// Sets the cookie if the session is further along than the one that came.
pub(crate) fn renew_cookie(gateway: &Gateway, held: &Held, headers: &mut HeaderMap) {
    let Held::Cookie { slot, generation } = held else { return };
    let Some(session) = slot.current().filter(|session| session.generation > *generation) else { return };
    match gateway.cookies.seal(&session) {
        Ok(cookie) => {
            headers.append(SET_COOKIE, cookie);
            // No cache may keep what is for one person alone.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(error) => tracing::error!(%error, "session cookie"),
    }
}

/// A refusal, or the way to the sign-in page for a person who can mend it there.
pub(crate) fn refuse(denied: Denied, destination: &Destination) -> Response<AnswerBody> {
    let mut answer = match destination.sign_in().filter(|_| denied.sign_in) {
        Some(sign_in) => sign_in,
        None => denied.problem.into(),
    };
    if denied.clear_cookie {
        answer.headers_mut().append(SET_COOKIE, cookie::cleared());
    }
    answer
}
