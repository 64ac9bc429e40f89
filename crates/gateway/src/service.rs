//! One request, one answer: what was refused before it became one, where the rest goes, and what is written down.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use tracing::Instrument as _;

use crate::body::AnswerBody;
use crate::framing::Reject;
use crate::framing::io::ConnectionState;
use crate::gateway::{Context, Gateway};
use crate::own::{home, login, logout, register, session};
use crate::problem::{Problem, Slug};
use crate::routes::{is_own, path_is_unambiguous};
use crate::{ops, proxy, request_id};

/// An answer, and the name of what gave it: a label of metrics and logs.
struct Served {
    route: Arc<str>,
    answer: Response<AnswerBody>,
}

impl Served {
    fn new(route: &str, answer: impl Into<Response<AnswerBody>>) -> Self {
        Self { route: route.into(), answer: answer.into() }
    }
}

/// Answers every request, whatever it is.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    peer: IpAddr,
    connection: &Arc<ConnectionState>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let started = Instant::now();
    let method = request.method().clone();
    let context = gateway.context(peer, request.headers());
    let span = tracing::info_span!("request", id = context.request_id);
    let served = match connection.next_request() {
        Some(reject) => Served::new("none", rejected(reject)),
        None => {
            let serving = Box::pin(serve(gateway, &context, connection, request).instrument(span.clone()));
            // A bug in one request must not take others of its connection along.
            AssertUnwindSafe(serving).catch_unwind().await.unwrap_or_else(|_| {
                span.in_scope(|| tracing::error!("a request panicked"));
                Served::new("none", Problem::from(Slug::Internal))
            })
        }
    };
    let Served { route, mut answer } = served;
    request_id::set(answer.headers_mut(), &context.request_id);
    let status = answer.status();
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let client = context.origin.client;
    // Probes come every few seconds and tell nobody anything.
    let _entered = span.enter();
    if route.starts_with("/-/") {
        tracing::debug!(%client, %method, route = &*route, status = status.as_u16(), took_us, "answered");
    } else {
        tracing::info!(%client, %method, route = &*route, status = status.as_u16(), took_us, "answered");
    }
    gateway.metrics.request(route, &method, status);
    answer
}

fn rejected(reject: Reject) -> Problem {
    match reject {
        Reject::Malformed(what) => Problem::bad_request(format!("malformed or ambiguous: {what}")),
        Reject::TargetTooLong => Slug::TargetTooLong.into(),
        Reject::HeadTooLarge => Slug::HeadTooLarge.into(),
        Reject::Method => Problem::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    }
}

async fn serve(
    gateway: &Arc<Gateway>,
    context: &Context,
    connection: &ConnectionState,
    request: Request<Incoming>,
) -> Served {
    let path = request.uri().path();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if let Err(problem) = check_target(&request, host) {
        return Served::new("none", problem);
    }
    if path == "/-" || path.starts_with("/-/") {
        let (route, answer) = ops::answer(gateway, context, request.method(), path, request.headers());
        return Served::new(route, answer);
    }
    match path {
        "/login" => return Served::new("/login", login::answer(gateway, context, request).await),
        "/logout" => return Served::new("/logout", logout::answer(gateway, context, request).await),
        "/session" => return Served::new("/session", session::answer(gateway, context, request).await),
        "/auth/register" => {
            return Served::new("/auth/register", register::answer(gateway, context, connection, request).await);
        }
        _ if is_own(path) => return Served::new("none", Problem::from(Slug::NotFound)),
        _ => {}
    }
    if let Some(target) = gateway.routes.find(host, path).cloned() {
        let answer = proxy::answer(gateway, context, connection, &target, request).await;
        return Served { route: target.pattern.clone(), answer };
    }
    match (path, request.method()) {
        ("/", &Method::GET | &Method::HEAD) => Served::new("/", home::answer(gateway, &request)),
        _ => Served::new("none", Problem::from(Slug::NotFound)),
    }
}

/// One request target, one meaning.
fn check_target<B>(request: &Request<B>, host: Option<&str>) -> Result<(), Problem> {
    let uri = request.uri();
    // RFC 9112 section 3.2.2: the whole address may stand there; it must not contradict the Host.
    if uri.authority().is_some_and(|named| host.is_some_and(|host| !named.as_str().eq_ignore_ascii_case(host))) {
        return Err(Problem::bad_request("the target and Host name different hosts"));
    }
    if uri.path().is_empty() || !path_is_unambiguous(uri.path()) {
        return Err(Problem::bad_request("the path could be read in two ways"));
    }
    Ok(())
}
