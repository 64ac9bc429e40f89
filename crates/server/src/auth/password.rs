//! `POST /auth/password`: another password; this session survives, all others end.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::grants::password::Candidate;
use propusk_core::sessions::Authenticated;
use propusk_core::store::StoreError;
use propusk_core::users;
use serde::Deserialize;

use super::checked_password;
use crate::app::App;
use crate::enforcement::{Enforcement, Wait};
use crate::error::Problem;
use crate::extract::{Origin, SecretText, StrictJson};
use crate::guard::Person;
use crate::sign_in;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
pub(super) struct Body {
    #[schema(value_type = String)]
    current_password: SecretText,
    #[schema(value_type = String)]
    new_password: SecretText,
}

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    person: Person,
    origin: Origin,
    wait: Wait,
    StrictJson(body): StrictJson<Body>,
) -> Result<Response, Problem> {
    let seq = change(&app, person, &origin, body).await?;
    let answer: Enforcement = app.enforce(seq, wait).await;
    Ok(answer.into_response())
}

async fn change(app: &App, person: Person, origin: &Origin, body: Body) -> Result<u64, Problem> {
    let id = person.id.clone();
    let user = app.read(move |tx, _| tx.user(&id)).await?;
    let email = user.as_ref().and_then(|user| user.email.clone()).unwrap_or_default();
    let username = user.as_ref().map(|user| user.username.clone()).unwrap_or_default();
    let names = [username.as_str(), email.as_str()];
    let new = checked_password(&app.settings, &body.new_password, "/new_password", &names)
        .map_err(|error| Problem::invalid_fields(vec![error]))?;
    let candidate =
        Candidate(user.and_then(|user| Some(Authenticated { user_id: user.id, password_hash: user.password_hash? })));
    let actor = origin.actor(person.id.to_string());
    let attempt = app.throttle.person(&username, origin.throttled_as()).await?;
    let checked = sign_in::check(app, candidate, &body.current_password, &actor, &origin.of_session()).await;
    attempt.note(&checked);
    if checked?.is_none() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "The current password is wrong"));
    }
    let hash = app.hashing.hash(new).await?;
    app.write(move |tx, env| users::change_password(tx, env, &actor, &person.id, hash, Some(&person.session)))
        .await
        .map_err(Problem::from)
}

impl From<users::UserChangeError> for Problem {
    fn from(error: users::UserChangeError) -> Self {
        match error {
            users::UserChangeError::Unknown => Problem::not_found("There is no such user."),
            users::UserChangeError::LastAdmin => Problem::last_admin(),
            users::UserChangeError::UsernameTaken => Problem::username_taken(),
            users::UserChangeError::Changed => Problem::changed(),
            users::UserChangeError::Store(error) => StoreError::into(error),
        }
    }
}
