//! Counters for Prometheus. Labels are bounded: a route is its pattern, a method a known one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use propusk_verify::Verifier;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    audience: String,
    verdict: &'static str,
}

type Counters<L> = Family<L, Counter<u64, AtomicU64>>;

/// All of them.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Counters<RequestLabels>,
    tokens: Counters<TokenLabels>,
    decisions: Counters<DecisionLabels>,
    connections: Gauge,
    view: ViewGauges,
}

/// What the verifiers' memory is like at the moment.
struct ViewGauges {
    age: Gauge<f64, AtomicU64>,
    lease_left: Gauge<f64, AtomicU64>,
    applied: Gauge<f64, AtomicU64>,
}

/// Counts a connection while it is there.
pub(crate) struct CountedConnection(Gauge);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Counters::default();
        registry.register("propusk_http_requests", "Requests answered", requests.clone());
        let tokens = Counters::default();
        let help = "Access tokens looked up for sessions, by where they came from";
        registry.register("propusk_gateway_session_tokens", help, tokens.clone());
        let decisions = Counters::default();
        registry.register("propusk_gateway_decisions", "Decisions on access tokens", decisions.clone());
        let connections = Gauge::default();
        registry.register("propusk_gateway_connections", "Connections of clients", connections.clone());
        let view = ViewGauges::register(&mut registry);
        Self { registry: Mutex::new(registry), requests, tokens, decisions, connections, view }
    }

    pub(crate) fn connection(&self) -> CountedConnection {
        self.connections.inc();
        CountedConnection(self.connections.clone())
    }

    pub(crate) fn decision(&self, audience: &str, verdict: &'static str) {
        self.decisions.get_or_create(&DecisionLabels { audience: audience.to_owned(), verdict }).inc();
    }

    pub(crate) fn request(&self, route: Arc<str>, method: &Method, status: StatusCode) {
        let labels = RequestLabels { route, method: bounded(method), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn token(&self, outcome: &'static str) {
        self.tokens.get_or_create(&TokenLabels { outcome }).inc();
    }

    /// All of it, with what `verifier` knows at this moment.
    pub(crate) fn render(&self, verifier: Option<&Verifier>) -> String {
        if let Some(verifier) = verifier {
            self.view.read(verifier);
        }
        let mut out = String::new();
        // Writing into a `String` does not fail.
        let _ = text::encode(&mut out, &self.registry.lock());
        out
    }
}

impl ViewGauges {
    fn register(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::<f64, AtomicU64>::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            age: gauge("propusk_view_age_seconds", "How old the view of the log is; +Inf before the first"),
            lease_left: gauge("propusk_lease_left_seconds", "How long elite decisions may still be made from memory"),
            applied: gauge("propusk_applied_seq", "The last position of the log that is applied"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^53")]
    fn read(&self, verifier: &Verifier) {
        let Some(view) = verifier.view() else { return };
        let now = verifier.clock().moment();
        let is_known = view.fresh_as_of().as_nanos() > 0;
        self.age.set(if is_known { view.age(now).as_secs_f64() } else { f64::INFINITY });
        self.lease_left.set(view.lease_end().since(now).as_secs_f64());
        self.applied.set(view.applied() as f64);
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
        let text = metrics.render(None);
        assert!(
            text.contains("propusk_http_requests_total{route=\"/users/**\",method=\"GET\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains("method=\"other\""), "{text}");
    }
}
