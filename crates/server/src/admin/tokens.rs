//! `POST /admin/v1/tokens/revoke` `{token}` or `{jti}`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use propusk_core::id::Jti;
use propusk_core::revocation;
use propusk_verify::axum::EliteProof;
use serde::Deserialize;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{Origin, SecretText, StrictJson};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    token: Option<SecretText>,
    jti: Option<String>,
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    wait: Wait,
    StrictJson(body): StrictJson<Body>,
) -> Result<Response, Problem> {
    let jti = match (body.token, body.jti) {
        (Some(token), None) => app
            .verify_any(token.expose())
            .map(|token| token.claims().jti.clone())
            .map_err(|reason| Problem::invalid_field("/token", format!("is a live access token of ours ({reason})")))?,
        (None, Some(jti)) => jti,
        _ => return Err(Problem::bad_request("Send token or jti, one of them.")),
    };
    let jti: Jti = jti.parse().map_err(|error| Problem::invalid_field("/jti", format!("{error}")))?;
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let seq = app.write(move |tx, env| revocation::by_jti(tx, env, &actor, &jti)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}
