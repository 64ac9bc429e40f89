//! `/-/live`, `/-/ready` and `/-/metrics`: for the machine that it runs on, unless configured otherwise.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;

use crate::body::AnswerBody;
use crate::gateway::{Context, Gateway};
use crate::pages::json as json_answer;
use crate::problem::{Problem, Slug};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Route label and answer.
pub(crate) fn answer(
    gateway: &Gateway,
    context: &Context,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> (&'static str, Response<AnswerBody>) {
    // Everyone else is not even told that there is something.
    if !(gateway.ops_anywhere || is_local(context, headers)) {
        return ("/-/", Problem::from(Slug::NotFound).into_answer());
    }
    let (route, make): (_, fn(&Gateway) -> Response<AnswerBody>) = match path {
        "/-/live" => ("/-/live", live),
        "/-/ready" => ("/-/ready", ready),
        "/-/metrics" => ("/-/metrics", metrics),
        _ => return ("/-/", Problem::from(Slug::NotFound).into_answer()),
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return (route, Problem::method_not_allowed("GET, HEAD").into_answer());
    }
    (route, make(gateway))
}

/// From this machine, and not handed on by a proxy on this machine that nobody listed.
fn is_local(context: &Context, headers: &HeaderMap) -> bool {
    let is_handed_on = headers.contains_key("x-forwarded-for") || headers.contains_key(FORWARDED);
    let speaks_for_itself = context.origin.is_believed() || !is_handed_on;
    context.origin.client.is_loopback() && speaks_for_itself
}

fn live(_: &Gateway) -> Response<AnswerBody> {
    json_answer(StatusCode::OK, json!({"status": "live"}).to_string())
}

fn ready(gateway: &Gateway) -> Response<AnswerBody> {
    let has_view = gateway.view().is_none_or(|view| view.fresh_as_of().as_nanos() > 0);
    let is_running = !gateway.is_stopping();
    let status = if has_view && is_running { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let feed = if has_view { "ok" } else { "no snapshot of the log yet" };
    let running = if is_running { "ok" } else { "stopping" };
    json_answer(status, json!({"checks": {"feed": feed, "running": running}}).to_string())
}

fn metrics(gateway: &Gateway) -> Response<AnswerBody> {
    let mut answer =
        Response::new(AnswerBody::from(gateway.metrics.render(gateway.routes.first().map(|target| &target.verifier))));
    answer.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
