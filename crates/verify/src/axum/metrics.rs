//! Metrics in the OpenMetrics text format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::verifier::Verifier;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    /// The route's template, never the path: its values are bounded.
    route: String,
    method: &'static str,
    status: u16,
}

/// What a server counts.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    view: Option<ViewGauges>,
}

/// The state of a verifier's memory, read when somebody asks.
struct ViewGauges {
    age: Gauge<f64, AtomicU64>,
    lease_left: Gauge<f64, AtomicU64>,
    applied: Gauge<f64, AtomicU64>,
    events: Gauge<f64, AtomicU64>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new(verifier: &Verifier) -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register("propusk_http_requests", "Requests answered", requests.clone());
        let view = verifier.view().map(|_| ViewGauges::register(&mut registry));
        Self { registry, requests, view }
    }

    /// Where further metrics are registered.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    pub(super) fn count(&self, route: &str, method: &http::Method, status: u16) {
        let labels = RequestLabels { route: route.to_owned(), method: method_name(method), status };
        self.requests.get_or_create(&labels).inc();
    }

    pub(super) fn render(&self, verifier: &Verifier) -> String {
        if let Some(gauges) = &self.view {
            gauges.read(verifier);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
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
            age: gauge("propusk_view_age_seconds", "How old the verifier's view of the log is; +Inf before the first"),
            lease_left: gauge("propusk_lease_left_seconds", "How long elite decisions may still be made from memory"),
            applied: gauge("propusk_applied_seq", "The last position of the log that is applied"),
            events: gauge("propusk_view_events", "Revocations held in memory"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "positions and counts stay far below 2^53")]
    fn read(&self, verifier: &Verifier) {
        let Some(view) = verifier.view() else { return };
        let now = verifier.clock().moment();
        let known = view.fresh_as_of().as_nanos() > 0;
        self.age.set(if known { view.age(now).as_secs_f64() } else { f64::INFINITY });
        self.lease_left.set(view.lease_end().since(now).as_secs_f64());
        self.applied.set(view.applied() as f64);
        self.events.set(view.len() as f64);
    }
}

/// The label of a method; what is not in RFC 9110 or RFC 5789 counts as one.
fn method_name(method: &http::Method) -> &'static str {
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
