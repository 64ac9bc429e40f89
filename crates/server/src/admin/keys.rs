//! `/admin/v1/services/{id}/keys`, `…/keys/rotate` and `/admin/v1/keys/{kid}/revoke`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::env::Timestamp;
use propusk_core::feed::FollowerState;
use propusk_core::id::{Kid, ServiceId};
use propusk_core::keys::{self, RevokeError, Ring, RotateError};
use propusk_core::store::{KeyState, SealedKey};
use serde::Serialize;

use super::once::{Done, Once};
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::ListQuery;
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
    /// Only of a staged one: the verifiers that have confirmed that they hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_by: Option<Vec<Follower>>,
    /// Only of the one that is to sign next: the verifiers that have not.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<Vec<Follower>>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Follower {
    service: String,
    instance: String,
    acked_seq: u64,
}

impl KeyView {
    fn of(app: &App, key: &SealedKey, now: Timestamp) -> Self {
        let is_next = key.state == KeyState::Staged && key.promoted_at.is_some();
        let obstacles = is_next.then(|| app.obstacles(key, now));
        let staged_at = key.published_seq.filter(|_| key.state == KeyState::Staged);
        let confirmed_by = |seq| app.feed.list().into_iter().filter(move |state| state.acked >= seq);
        let earliest = obstacles.as_ref().map(|obstacles| now.plus(obstacles.not_within));
        let at_floor = |floor: u64| Timestamp(floor.saturating_mul(1000)).plus(app.settings.leeway);
        Self {
            kid: key.kid.to_string(),
            alg: key.alg.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at,
            activates_at: earliest.or(key.activated_at),
            gone_at: key.gone_at_floor().map(at_floor),
            confirmed_by: staged_at.map(|seq| confirmed_by(seq).map(Follower::from).collect()),
            waiting_for: obstacles.map(|it| it.waiting_for.into_iter().map(Follower::from).collect()),
        }
    }
}

impl From<FollowerState> for Follower {
    fn from(state: FollowerState) -> Self {
        Self { service: state.follower.service, instance: state.instance.to_string(), acked_seq: state.acked }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let service = service_id(&id)?;
    let (ring, now) = app
        .read(move |tx, env| {
            tx.service(&service)?.ok_or_else(unknown_service)?;
            Ok::<_, Problem>((Ring::read(tx, &service)?, env.now))
        })
        .await?;
    let all = ring.keys().iter().map(|key| KeyView::of(&app, key, now)).collect();
    // In the order in which they were made; kids say nothing of that.
    let key = |key: &KeyView| format!("{:020}/{}", key.created_at.0, key.kid);
    Ok(Json(pages.part(&page, all, key)?).into_response())
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
    Path(id): Path<String>,
    wait: Wait,
    once: Once,
) -> Result<Response, Problem> {
    let id = service_id(&id)?;
    let spare = rotation::spare_for(&app, id.clone()).await?;
    app.once_with_keys(once, wait, move |tx, env, actor| {
        let promoted = keys::rotate(tx, env, actor, &id, spare.as_ref())?;
        let view = PromotedView { kid: promoted.kid.to_string(), state: promoted.state.as_str(), seq: promoted.seq };
        Ok(Done::accepted(&view)?.at(promoted.seq))
    })
    .await
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Path(kid): Path<String>,
    wait: Wait,
    once: Once,
) -> Result<Response, Problem> {
    let kid: Kid = kid.parse().map_err(|_| unknown_key())?;
    let known = kid.clone();
    let spare = match app.read(move |tx, _| tx.key(&known)).await? {
        Some(key) => rotation::spare_for(&app, key.service).await?,
        None => None,
    };
    app.once_with_keys(once, wait, move |tx, env, actor| {
        Ok(Done::changed(keys::revoke(tx, env, actor, &kid, spare.as_ref())?))
    })
    .await
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
