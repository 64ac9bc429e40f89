//! How a call that appended to the log answers: with what was reached by then.
//!
//! Verifiers that decide from memory hold leases; a change is enforced once each of them has applied it or its lease
//! has run out. Today every elite decision is made on committed state and nobody holds a lease, so a committed change
//! is an enforced one. [`enforce`] is the one place that answers this.

use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Problem;

/// The header that carries it where the body is taken.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("propusk-enforcement");

/// What a change has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Enforcement {
    pub(crate) seq: u64,
    pub(crate) outcome: Outcome,
    pub(crate) took_ms: u64,
    pub(crate) laggards: Vec<Laggard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Enforced,
    Committed,
}

/// A verifier that had not acknowledged the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        let Query(raw) = Query::<RawWait>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        if raw.wait_ms.is_some_and(|wait| wait > MAX_WAIT_MS) {
            return Err(Problem::bad_request(format!("wait_ms is at most {MAX_WAIT_MS}")));
        }
        Ok(Self { started: Instant::now(), wanted: raw.wait.unwrap_or(Outcome::Enforced) })
    }
}

impl Wait {
    /// What calls do that take no parameters for it: wait.
    pub(crate) fn by_default() -> Self {
        Self { started: Instant::now(), wanted: Outcome::Enforced }
    }
}

/// Waits, as far as was asked for, until the change at `seq` is enforced.
pub(crate) fn enforce(seq: u64, wait: Wait) -> Enforcement {
    let took = wait.started.elapsed().as_millis();
    Enforcement {
        seq,
        outcome: wait.wanted,
        took_ms: u64::try_from(took).unwrap_or(u64::MAX),
        laggards: Vec::new(),
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
        ([self.header()], (StatusCode::OK, Json(self))).into_response()
    }
}
