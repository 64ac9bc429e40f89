//! How a call that appended to the log answers: with what was reached by then.
//!
//! A change is enforced once each verifier has applied it or can decide nothing from memory without it. Calls wait for
//! that by default, for a bounded time, and tell what was reached and who lags behind.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::Problem;
use crate::extract::Queried;

/// The header that carries it where the body is taken.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("propusk-enforcement");

/// What a change has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Enforcement {
    pub(crate) seq: u64,
    pub(crate) outcome: Outcome,
    #[serde(skip)]
    wanted: Outcome,
    pub(crate) took_ms: u64,
    pub(crate) laggards: Vec<Laggard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Enforced,
    Committed,
}

/// A verifier that had not acknowledged the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Laggard {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) acked_seq: u64,
    pub(crate) lease_left_ms: u64,
    pub(crate) state: &'static str,
}

/// `?wait=enforced or committed&wait_ms=`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) started: Instant,
    pub(crate) wanted: Outcome,
    /// How long to wait, if not as long as is configured.
    limit: Option<Duration>,
}

#[derive(Deserialize)]
struct RawWait {
    wait: Option<Outcome>,
    wait_ms: Option<u64>,
}

/// The longest wait that may be asked for.
const MAX_WAIT_MS: u64 = 60_000;

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Queried(raw) = Queried::<RawWait>::from_request_parts(parts, state).await?;
        if raw.wait_ms.is_some_and(|wait| wait > MAX_WAIT_MS) {
            return Err(Problem::bad_request(format!("wait_ms is at most {MAX_WAIT_MS}")));
        }
        let limit = raw.wait_ms.map(Duration::from_millis);
        Ok(Self { started: Instant::now(), wanted: raw.wait.unwrap_or(Outcome::Enforced), limit })
    }
}

impl Wait {
    /// What calls do that take no parameters for it: wait.
    pub(crate) fn by_default() -> Self {
        Self { started: Instant::now(), wanted: Outcome::Enforced, limit: None }
    }
}

impl App {
    /// Waits, as far as was asked for, until the change at `seq` is enforced.
    pub(crate) async fn enforce(&self, seq: u64, wait: Wait) -> Enforcement {
        let limit = match wait.wanted {
            Outcome::Enforced => wait.limit.unwrap_or(self.revoke_wait_limit),
            Outcome::Committed => Duration::ZERO,
        };
        let waited = self.feed.enforced(seq, limit).await;
        let took = wait.started.elapsed().as_millis();
        Enforcement {
            seq,
            outcome: if waited.is_enforced { Outcome::Enforced } else { Outcome::Committed },
            wanted: wait.wanted,
            took_ms: u64::try_from(took).unwrap_or(u64::MAX),
            laggards: waited.laggards.into_iter().map(Laggard::from).collect(),
        }
    }
}

impl From<propusk_core::feed::Laggard> for Laggard {
    fn from(laggard: propusk_core::feed::Laggard) -> Self {
        let lease_left_ms = u64::try_from(laggard.lease_left.as_millis()).unwrap_or(u64::MAX);
        Self {
            service: laggard.service,
            instance: laggard.instance.to_string(),
            acked_seq: laggard.acked,
            lease_left_ms,
            state: if laggard.lease_left.is_zero() { "lease_ended" } else { "outstanding" },
        }
    }
}

impl Enforcement {
    /// `outcome=enforced;seq=42;took-ms=7`.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        let outcome = match self.outcome {
            Outcome::Enforced => "enforced",
            Outcome::Committed => "committed",
        };
        let text = format!("outcome={outcome};seq={};took-ms={}", self.seq, self.took_ms);
        let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("outcome=committed"));
        (HEADER, value)
    }
}

impl IntoResponse for Enforcement {
    fn into_response(self) -> Response {
        let reached = self.wanted == Outcome::Committed || self.outcome == Outcome::Enforced;
        let status = if reached { StatusCode::OK } else { StatusCode::ACCEPTED };
        (status, [self.header()], Json(self)).into_response()
    }
}
