//! Counters for Prometheus. Labels are bounded: a route is its pattern, a method a known one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    outcome: &'static str,
}

/// All of them.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    tokens: Family<RefreshLabels, Counter<u64, AtomicU64>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register("propusk_http_requests", "Requests answered", requests.clone());
        let tokens = Family::default();
        registry.register("propusk_gateway_token_lookups", "Access tokens for sessions, by what came of it", tokens.clone());
        Self { registry: Mutex::new(registry), requests, tokens }
    }

    pub(crate) fn request(&self, route: Arc<str>, method: &Method, status: StatusCode) {
        let labels = RequestLabels { route, method: bounded(method), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn token(&self, outcome: &'static str) {
        self.tokens.get_or_create(&RefreshLabels { outcome }).inc();
    }

    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        // Writing into a `String` does not fail.
        let _ = text::encode(&mut out, &self.registry.lock());
        out
    }
}

fn bounded(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_contract() {
        let metrics = Metrics::new();
        metrics.request("/users/**".into(), &Method::GET, StatusCode::OK);
        metrics.request("/users/**".into(), &Method::from_bytes(b"WHATEVER").unwrap(), StatusCode::OK);
        let text = metrics.render();
        assert!(text.contains("propusk_http_requests_total{route=\"/users/**\",method=\"GET\",status=\"200\"} 1"), "{text}");
        assert!(text.contains("method=\"other\""), "{text}");
    }
}
