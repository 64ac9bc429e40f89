//! What a handler asks for: the value that only a passed check can make.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use super::json::problem_response;
use crate::decision::{Class, Demand, Permit, Refusal, Report};
use crate::problem::Problem;
use crate::verifier::Verifier;

/// What a guard leaves in a request that it let through.
pub(super) struct Granted {
    pub(super) permit: Permit,
    pub(super) verifier: Verifier,
    pub(super) demand: Arc<Demand>,
}

/// Whoever was let in, on an ordinary or elite route.
#[derive(Clone)]
pub struct Caller(Arc<Granted>);

/// Proof that the caller was let in on current status and roles. Only an elite route has it.
#[derive(Clone)]
pub struct EliteProof(Arc<Granted>);

/// A handler asks for more than its route demands of callers: a mistake in the service. Answered 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotGuarded;

impl IntoResponse for NotGuarded {
    fn into_response(self) -> Response {
        tracing::error!("a handler asks for proof that its route does not demand: guard the route");
        problem_response(&Problem::new(500, "internal", "Something went wrong on our side"))
    }
}

impl Deref for Caller {
    type Target = Permit;

    fn deref(&self) -> &Permit {
        &self.0.permit
    }
}

impl EliteProof {
    /// Who was let in, and on what.
    pub fn permit(&self) -> &Permit {
        &self.0.permit
    }

    /// Decides again, from memory under the lease or by asking. To be called at the moment at which something takes
    /// effect, if that is not at once: between the first decision and now the process may have been frozen.
    ///
    /// # Errors
    /// When the caller would not be let in now.
    pub async fn still_valid(&self) -> Result<Report, Refusal> {
        self.0.verifier.decide_again(&self.0.permit, &self.0.demand).await
    }

    /// The same on a thread that may block, such as one inside a database transaction.
    ///
    /// # Errors
    /// When the caller would not be let in now.
    ///
    /// # Panics
    /// Outside of a tokio runtime's blocking threads.
    pub fn still_valid_blocking(&self) -> Result<Report, Refusal> {
        tokio::runtime::Handle::current().block_on(self.still_valid())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = NotGuarded;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotGuarded> {
        parts.extensions.get::<Arc<Granted>>().cloned().map(Self).ok_or(NotGuarded)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EliteProof {
    type Rejection = NotGuarded;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotGuarded> {
        let granted = parts.extensions.get::<Arc<Granted>>();
        granted.filter(|granted| granted.demand.class() == Class::Elite).cloned().map(Self).ok_or(NotGuarded)
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Caller").field(&self.0.permit.claims().sub).finish()
    }
}

impl std::fmt::Debug for EliteProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EliteProof").field(&self.0.permit.claims().sub).finish()
    }
}
