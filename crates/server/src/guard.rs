//! The authority's own verifier, for handlers that use it themselves.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use propusk_core::audit::Actor;
use propusk_core::id::{SessionId, UserId};
use propusk_verify::axum::EliteProof;
use propusk_verify::verifier::Verifier;

use crate::app::App;
use crate::error::Problem;
use crate::extract::Origin;

/// The verifier that guards this server: audience `propusk`, elite on committed state.
pub(crate) struct OwnVerifier(pub(crate) Verifier);

impl<S: Send + Sync> FromRequestParts<S> for OwnVerifier {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Verifier>().cloned().map(Self).ok_or_else(Problem::internal)
    }
}

/// Whoever calls, as the audit log names it; needs a route behind an elite guard.
pub(crate) struct Caller(pub(crate) Actor);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<App>) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse as _;
        let proof = EliteProof::from_request_parts(parts, state).await.map_err(|e| e.into_response())?;
        let Ok(origin) = Origin::from_request_parts(parts, state).await;
        Ok(Self(origin.actor(proof.permit().claims().sub.clone())))
    }
}

/// A person with a session, as the token says; needs a route behind an elite guard.
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) session: SessionId,
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<App>) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse as _;
        let proof = EliteProof::from_request_parts(parts, state).await.map_err(|e| e.into_response())?;
        let claims = proof.permit().claims();
        let session = claims.sid.as_deref().and_then(|sid| sid.parse().ok());
        match (claims.sub.parse(), session) {
            (Ok(id), Some(session)) => Ok(Self { id, session }),
            _ => Err(Problem::new(http::StatusCode::FORBIDDEN, "people-only", "Only people have this")
                .detail("This token was issued to a client for itself; it has no session.")
                .into_response()),
        }
    }
}
