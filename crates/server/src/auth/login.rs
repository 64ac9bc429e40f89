//! `POST /auth/login`: 200 TOKENS.
//!
//! An unknown person, a wrong password and a disabled person take the same path: the same reads, the same hashing,
//! the same answer, and the throttle counts them alike.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use propusk_core::grants::{TokenSet, password};
use propusk_core::sessions::{self, NewSession, OpenError};
use propusk_core::store::StoreError;
use propusk_core::target::{self, Target, TargetError};
use serde::Deserialize;

use crate::app::App;
use crate::error::Problem;
use crate::extract::{Origin, SecretText, StrictJson};
use crate::sign_in;
use crate::tokens::TokenAnswer;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Login)]
pub(super) struct Body {
    username: String,
    #[schema(value_type = String)]
    password: SecretText,
    audience: Option<String>,
}

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    StrictJson(body): StrictJson<Body>,
) -> Result<TokenAnswer, Problem> {
    let attempt = app.throttle.person(&body.username, origin.throttled_as()).await?;
    let signed_in = sign_in(&app, &origin, body).await;
    attempt.note(&signed_in);
    let set = signed_in?.ok_or_else(invalid_credentials)?;
    Ok(TokenAnswer::sign(&app, set).await?)
}

/// A session, if the password was right.
async fn sign_in(app: &App, origin: &Origin, body: Body) -> Result<Option<TokenSet>, Problem> {
    let Body { username, password, audience } = body;
    let target = Target { audience, resource: None };
    let (audience, candidate) = app
        .read_briefly(move |tx, _| {
            let audience = target::of_any(tx, &target, &super::default_audience())?;
            Ok::<_, Problem>((audience, password::candidate(tx, &username)?))
        })
        .await?;
    let (actor, session_origin) = (origin.anonymous(), origin.of_session());
    let Some(who) = sign_in::check(app, candidate, &password, &actor, &session_origin).await? else { return Ok(None) };
    let new = NewSession { who, client_id: sessions::auth_api(), audience, origin: session_origin };
    let settings = Arc::clone(&app.settings);
    match app.write(move |tx, env| sessions::open(tx, env, &settings, &actor, new)).await {
        Ok(set) => Ok(Some(set)),
        Err(OpenError::Refused) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn invalid_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "The username or the password is wrong")
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused => invalid_credentials(),
            OpenError::Mint(error) => StoreError::failed(error).into(),
            OpenError::Store(error) => error.into(),
        }
    }
}

impl From<TargetError> for Problem {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Store(error) => error.into(),
            error => Problem::new(StatusCode::BAD_REQUEST, "invalid-target", "There is no such audience")
                .detail(error.to_string()),
        }
    }
}
