//! What every server has beside its routes: request ids, one log line for each request, answers to panics and unknown
//! paths, and the operations routes under `/-/`.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use tracing::Instrument as _;

use super::json::problem_response;
use super::metrics::Metrics;
use crate::problem::Problem;
use crate::verifier::Verifier;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// OpenMetrics 1.0.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The id under which a request is logged: an extension of every request, and `X-Request-Id` of every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// One named check of readiness.
pub struct Readiness {
    name: &'static str,
    check: Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
}

impl Readiness {
    /// A check that answers whether that part is ready.
    pub fn new<F: Future<Output = bool> + Send + 'static>(
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { name, check: Box::new(move || check().boxed()) }
    }
}

/// What the operations routes answer from.
pub struct Ops {
    /// Answer others than loopback too.
    pub anywhere: bool,
    /// What has to hold for `/-/ready`, beside a view that knows its place in the log.
    pub readiness: Vec<Readiness>,
    /// Metrics of one's own.
    pub metrics: Metrics,
}

impl Ops {
    /// With the metrics of a verifier.
    pub fn new(verifier: &Verifier, anywhere: bool) -> Self {
        Self { anywhere, readiness: Vec::new(), metrics: Metrics::new(verifier) }
    }
}

struct Shared {
    verifier: Verifier,
    ops: Ops,
}

/// Completes a service: see the module. To be served by [`serve`](super::serve), or by another server that puts
/// `ConnectInfo<SocketAddr>` into each request.
pub fn serve_router(api: Router, verifier: &Verifier, ops_anywhere: bool) -> Router {
    serve_router_with(api, verifier, Ops::new(verifier, ops_anywhere))
}

/// The same with readiness checks and metrics of one's own.
pub fn serve_router_with(api: Router, verifier: &Verifier, ops: Ops) -> Router {
    let shared = Arc::new(Shared { verifier: verifier.clone(), ops });
    let operations = Router::new()
        .route("/-/live", get(|| async { Json(json!({ "status": "live" })) }))
        .route("/-/ready", get(ready))
        .route("/-/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(&shared), only_near))
        .with_state(Arc::clone(&shared));
    api.merge(operations)
        .fallback(|| async { problem_response(&Problem::new(404, "not-found", "There is nothing at this address")) })
        .method_not_allowed_fallback(|| async {
            problem_response(&Problem::new(405, "method-not-allowed", "This address does not take that method"))
        })
        .layer(from_fn_with_state(shared, around))
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let mut checks = serde_json::Map::new();
    let mut all = true;
    if let Some(view) = shared.verifier.view() {
        all = view.fresh_as_of().as_nanos() > 0;
        checks.insert("feed".to_owned(), json!(if all { "ok" } else { "no snapshot of the log yet" }));
    }
    for readiness in &shared.ops.readiness {
        let ok = (readiness.check)().await;
        all &= ok;
        checks.insert(readiness.name.to_owned(), json!(if ok { "ok" } else { "failed" }));
    }
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "checks": checks }))).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = shared.ops.metrics.render(&shared.verifier);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE))], text).into_response()
}

/// Operations are for this machine, unless the operator said otherwise. What a proxy on this machine hands on comes from
/// somebody else.
async fn only_near(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_near = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let is_handed_on = [FORWARDED_FOR, header::FORWARDED].iter().any(|name| request.headers().contains_key(name));
    if (is_near && !is_handed_on) || shared.ops.anywhere {
        return next.run(request).await;
    }
    problem_response(&Problem::new(404, "not-found", "There is nothing at this address"))
}

/// Around every request.
async fn around(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers().get(REQUEST_ID));
    let (method, route) = (request.method().clone(), route_of(&request));
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id);
    let mut response = async {
        let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            problem_response(&Problem::new(500, "internal", "Something went wrong on our side"))
        });
        let status = response.status().as_u16();
        let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Probes come every few seconds and tell nobody anything.
        if route.starts_with("/-/") {
            tracing::debug!(method = %method, route, status, took_us, "answered");
        } else {
            tracing::info!(method = %method, route, status, took_us, "answered");
        }
        response
    }
    .instrument(span)
    .await;
    shared.ops.metrics.count(&route, &method, response.status().as_u16());
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The route's template; a path is neither logged nor counted, for anybody can make up endless ones.
fn route_of(request: &Request<Body>) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned())
}

/// The id that came with the request if it is a sane one, else 96 random bits.
fn request_id(sent: Option<&HeaderValue>) -> String {
    let is_sane = |text: &&str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    if let Some(text) = sent.and_then(|value| value.to_str().ok()).filter(is_sane) {
        return text.to_owned();
    }
    let mut bits = [0; 12];
    // Without randomness the id is the same for all: bad for the log, no more.
    let _ = aws_lc_rs::rand::fill(&mut bits);
    Base64UrlUnpadded::encode_string(&bits)
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;
    use crate::jose::KeyRing;
    use crate::verifier::KeySource;

    const OPERATIONS: [&str; 3] = ["/-/live", "/-/ready", "/-/metrics"];

    fn router(anywhere: bool) -> Router {
        let keys = KeySource::fixed(KeyRing::default());
        let verifier = Verifier::builder().issuer("https://id.example.com").audience("cars").keys(keys).build();
        serve_router(Router::new().route("/cars", get(|| async { "cars" })), &verifier, anywhere)
    }

    async fn status(router: &Router, path: &str, peer: Option<&str>) -> u16 {
        status_with(router, path, peer, ("accept", "*/*")).await
    }

    async fn status_with(router: &Router, path: &str, peer: Option<&str>, (name, value): (&str, &str)) -> u16 {
        let mut request = Request::get(path).header(name, value).body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn operations_are_for_this_machine_unless_the_operator_said_otherwise() {
        let (near, anywhere) = (router(false), router(true));
        for path in OPERATIONS {
            for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
                assert_eq!(status(&near, path, Some(peer)).await, 200, "{path} for {peer}");
            }
            let strangers = ["192.0.2.1:9", "10.0.0.1:9", "[2001:db8::1]:9", "[::ffff:192.0.2.1]:9", "[fe80::1]:9"];
            for peer in strangers {
                assert_eq!(status(&near, path, Some(peer)).await, 404, "{path} for {peer}");
                assert_eq!(status(&anywhere, path, Some(peer)).await, 200, "{path} for {peer}");
            }
            // Nobody knows who it is: then it is nobody of this machine.
            assert_eq!(status(&near, path, None).await, 404, "{path}");
        }
        assert_eq!(status(&near, "/cars", Some("192.0.2.1:9")).await, 200);
    }

    #[tokio::test]
    async fn no_header_makes_a_stranger_near_and_no_proxy_either() {
        let near = router(false);
        for header in [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "127.0.0.1")] {
            assert_eq!(status_with(&near, "/-/metrics", Some("192.0.2.1:9"), header).await, 404, "{header:?}");
        }
        for header in [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")] {
            assert_eq!(status_with(&near, "/-/metrics", Some("127.0.0.1:9"), header).await, 404, "{header:?}");
            assert_eq!(status_with(&router(true), "/-/metrics", Some("127.0.0.1:9"), header).await, 200, "{header:?}");
        }
    }
}
