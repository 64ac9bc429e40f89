//! `POST /auth/refresh`: 200 TOKENS, or 401 `invalid-refresh-token`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use propusk_core::grants::GrantError;
use propusk_core::grants::refresh::{self, Presenter, Refreshed};
use propusk_core::secret::PlainSecret;
use propusk_core::sessions;
use propusk_core::store::StoreError;
use propusk_core::target::Target;
use serde::Deserialize;

use crate::app::App;
use crate::error::Problem;
use crate::extract::{Origin, SecretText, StrictJson};
use crate::tokens::TokenAnswer;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refresh)]
pub(super) struct Body {
    #[schema(value_type = String)]
    refresh_token: SecretText,
    audience: Option<String>,
}

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    StrictJson(body): StrictJson<Body>,
) -> Result<TokenAnswer, Problem> {
    let presented = PlainSecret::presented(body.refresh_token.expose());
    let target = Target { audience: body.audience, resource: None };
    let presenter = Presenter::AuthApi { client: sessions::auth_api(), default_audience: super::default_audience() };
    let settings = Arc::clone(&app.settings);
    let actor = origin.anonymous();
    let refreshed =
        app.write(move |tx, env| refresh::grant(tx, env, &settings, &actor, &presenter, &presented, &target)).await?;
    match refreshed {
        Refreshed::Tokens(set) => Ok(TokenAnswer::sign(&app, *set).await?),
        Refreshed::FamilyEnded(_) => Err(invalid_refresh_token()),
    }
}

fn invalid_refresh_token() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid-refresh-token", "The refresh token is of no use")
        .detail("Sign in again.")
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Store(error) => error.into(),
            GrantError::Mint(error) => StoreError::failed(error).into(),
            GrantError::Target(error) => error.into(),
            error => {
                tracing::info!(reason = %error, "refresh refused");
                invalid_refresh_token()
            }
        }
    }
}
