//! `POST /auth/logout`: with the bearer token of a session, or with `{refresh_token}`. 204 and `Propusk-Enforcement`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use propusk_core::id::SessionId;
use propusk_core::revocation;
use propusk_core::secret::PlainSecret;
use propusk_core::sessions;
use propusk_core::store::StoreError;
use propusk_verify::axum::bearer;
use propusk_verify::decision::Demand;
use serde::Deserialize;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{OptionalJson, Origin, SecretText};
use crate::guard::OwnVerifier;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Logout)]
pub(super) struct Body {
    #[schema(value_type = String)]
    refresh_token: SecretText,
}

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    OwnVerifier(verifier): OwnVerifier,
    origin: Origin,
    headers: HeaderMap,
    wait: Wait,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Response, Response> {
    let seq = match body {
        Some(_) if headers.contains_key(header::AUTHORIZATION) => {
            let both = "Send a bearer token or a refresh token, not both.";
            return Err(Problem::bad_request(both).into_response());
        }
        Some(body) => end_by_refresh_token(&app, &origin, &body).await,
        None => {
            let refuse = |refusal| propusk_verify::axum::refuse(&verifier, &refusal);
            let raw = bearer(&headers).map_err(refuse)?;
            let permit = verifier.decide(&raw, &Demand::elite()).await.map_err(refuse)?;
            end_own_session(&app, &origin, permit.claims().sub.clone(), permit.claims().sid.clone()).await
        }
    };
    match seq.map_err(|error| Problem::from(error).into_response())? {
        Some(seq) => Ok(([app.enforce(seq, wait).await.header()], StatusCode::NO_CONTENT).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

async fn end_by_refresh_token(app: &App, origin: &Origin, body: &Body) -> Result<Option<u64>, StoreError> {
    let presented = PlainSecret::presented(body.refresh_token.expose());
    let actor = origin.anonymous();
    app.write(move |tx, env| revocation::refresh_token(tx, env, &actor, &sessions::auth_api(), &presented)).await
}

async fn end_own_session(
    app: &App,
    origin: &Origin,
    sub: String,
    sid: Option<String>,
) -> Result<Option<u64>, StoreError> {
    let actor = origin.actor(sub);
    let sid = sid.and_then(|sid| sid.parse::<SessionId>().ok());
    app.write(move |tx, env| match sid {
        Some(sid) => sessions::end(tx, env, &actor, "logout", &sid),
        None => Ok(None),
    })
    .await
}
