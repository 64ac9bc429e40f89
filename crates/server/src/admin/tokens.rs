//! `POST /admin/v1/tokens/revoke` `{token}` or `{jti}`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use propusk_core::id::Jti;
use propusk_core::revocation;
use serde::Deserialize;

use super::once::{Done, OnceJson};
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::SecretText;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RevokedToken)]
pub(super) struct Body {
    #[schema(value_type = Option<String>)]
    token: Option<SecretText>,
    jti: Option<String>,
}

pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<Body>,
) -> Result<Response, Problem> {
    let verifier = Arc::clone(&app);
    app.once(once, wait, move |tx, env, actor| {
        // In here: who asks again, when the token has ended, gets the first answer.
        let jti = jti(&verifier, body)?;
        Ok(Done::changed(revocation::by_jti(tx, env, actor, &jti)?))
    })
    .await
}

fn jti(app: &App, body: Body) -> Result<Jti, Problem> {
    let jti = match (body.token, body.jti) {
        (Some(token), None) => app
            .verify_any(token.expose())
            .map(|token| token.claims().jti.clone())
            .map_err(|reason| Problem::invalid_field("/token", format!("is a live access token of ours ({reason})")))?,
        (None, Some(jti)) => jti,
        _ => return Err(Problem::bad_request("Send token or jti, one of them.")),
    };
    jti.parse().map_err(|error| Problem::invalid_field("/jti", format!("{error}")))
}
