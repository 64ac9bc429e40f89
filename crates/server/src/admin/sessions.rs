//! `/admin/v1/sessions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::id::SessionId;
use propusk_core::sessions;
use propusk_core::store::StoreError;
use propusk_verify::axum::EliteProof;
use serde::Deserialize;

use super::users::user_id;
use crate::app::App;
use crate::auth::live_sessions;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{ListQuery, Origin, Queried};

#[derive(Deserialize)]
pub(super) struct Filter {
    user_id: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Queried(filter): Queried<Filter>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let user = filter.user_id.ok_or_else(|| Problem::bad_request("user_id is missing: whose sessions?"))?;
    let user = user_id(&user)?;
    Ok(Json(live_sessions(&app, user, page, &pages).await?).into_response())
}

pub(super) async fn end(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("There is no such session.");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let ended = app.write(move |tx, env| sessions::end(tx, env, &actor, "session_ended", &id)).await;
    let seq = ended.map_err(|error: StoreError| Problem::from(error))?.ok_or_else(unknown)?;
    Ok(app.enforce(seq, wait).await.into_response())
}
