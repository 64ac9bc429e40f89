//! `/admin/v1/clients`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::clients::{self, ClientChangeError};
use propusk_core::id::ClientId;
use propusk_verify::axum::EliteProof;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::Origin;

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, actor) = (client_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let seq = app.write(move |tx, env| clients::disable(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn enable(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, actor) = (client_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let seq = app.write(move |tx, env| clients::enable(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) fn client_id(text: &str) -> Result<ClientId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("There is no such client.")
}

impl From<ClientChangeError> for Problem {
    fn from(error: ClientChangeError) -> Self {
        match error {
            ClientChangeError::Unknown => unknown(),
            ClientChangeError::LastAdmin => Problem::last_admin(),
            ClientChangeError::Store(error) => error.into(),
        }
    }
}
