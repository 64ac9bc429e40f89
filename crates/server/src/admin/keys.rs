//! `/admin/v1/services/{id}/keys`, `…/keys/rotate` and `/admin/v1/keys/{kid}/revoke`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::env::Timestamp;
use propusk_core::feed::FollowerState;
use propusk_core::id::{Kid, ServiceId};
use propusk_core::keys::{RevokeError, Ring, RotateError};
use propusk_core::store::{KeyState, SealedKey};
use propusk_verify::axum::EliteProof;
use serde::Serialize;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{List, Origin};
use crate::rotation;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    kid: String,
    alg: &'static str,
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it began to sign; of one that is to sign next, when it may at the earliest.
    #[schema(value_type = Option<String>, format = DateTime)]
    activates_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    gone_at: Option<Timestamp>,
    /// Only of the one that is to sign next: the verifiers that have not acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<Vec<WaitingFor>>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WaitingFor {
    service: String,
    instance: String,
    acked_seq: u64,
}

impl KeyView {
    fn of(app: &App, key: &SealedKey, now: Timestamp) -> Self {
        let is_next = key.state == KeyState::Staged && key.promoted_at.is_some();
        let obstacles = is_next.then(|| app.obstacles(key, now));
        let earliest = obstacles.as_ref().map(|obstacles| now.plus(obstacles.not_within));
        let at_floor = |floor: u64| Timestamp(floor.saturating_mul(1000)).plus(app.settings.leeway);
        Self {
            kid: key.kid.to_string(),
            alg: key.alg.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at,
            activates_at: earliest.or(key.activated_at),
            gone_at: key.gone_at_floor().map(at_floor),
            waiting_for: obstacles.map(|it| it.waiting_for.into_iter().map(WaitingFor::from).collect()),
        }
    }
}

impl From<FollowerState> for WaitingFor {
    fn from(state: FollowerState) -> Self {
        Self { service: state.follower.service, instance: state.instance.to_string(), acked_seq: state.acked }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let service = service_id(&id)?;
    let (ring, now) = app
        .read(move |tx, env| {
            tx.service(&service)?.ok_or_else(unknown_service)?;
            Ok::<_, Problem>((Ring::read(tx, &service)?, env.now))
        })
        .await?;
    let items = ring.keys().iter().map(|key| KeyView::of(&app, key, now)).collect();
    Ok(Json(List { items, next_cursor: None }).into_response())
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Promoted)]
pub(super) struct PromotedView {
    kid: String,
    state: &'static str,
    seq: u64,
}

/// The key that is answered becomes `active` by itself: see the list for when, and who is waited for.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let promoted = rotation::rotate(&app, actor, service_id(&id)?).await?;
    let view = PromotedView { kid: promoted.kid.to_string(), state: promoted.state.as_str(), seq: promoted.seq };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(kid): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let kid: Kid = kid.parse().map_err(|_| unknown_key())?;
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let seq = rotation::revoke(&app, actor, kid).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

fn service_id(text: &str) -> Result<ServiceId, Problem> {
    text.parse().map_err(|_| unknown_service())
}

fn unknown_service() -> Problem {
    Problem::not_found("There is no such service.")
}

fn unknown_key() -> Problem {
    Problem::not_found("There is no such key.")
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::UnknownService => unknown_service(),
            RotateError::NoSpare(_) => Self::busy(),
            RotateError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::UnknownKey => unknown_key(),
            RevokeError::NoSpare(_) => Self::busy(),
            RevokeError::Store(error) => error.into(),
        }
    }
}
