//! `POST /auth/register`: 201 `{id, username, email?}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use propusk_core::password::Password;
use propusk_core::settings::Settings;
use propusk_core::store::User;
use propusk_core::username;
use propusk_core::users::{self, NewUser, RegisterError};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{FieldError, Problem};
use crate::extract::{Origin, SecretText, StrictJson};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
pub(super) struct Body {
    username: String,
    #[schema(value_type = String)]
    password: SecretText,
    email: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Registered)]
pub(super) struct Answer {
    id: String,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

pub(super) async fn handle(
    State(app): State<Arc<App>>,
    origin: Origin,
    StrictJson(body): StrictJson<Body>,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let (username, password, email) = checked(&app.settings, &body)?;
    let password_hash = app.hashing.hash(password).await?;
    let actor = origin.anonymous();
    let new = NewUser { username, email, password_hash: Some(password_hash) };
    let user = app.write(move |tx, env| users::register(tx, env, &actor, new)).await?;
    Ok((StatusCode::CREATED, Json(Answer::from(user))))
}

/// All members are looked at, so that all errors are told at once.
fn checked(settings: &Settings, body: &Body) -> Result<(String, Password, Option<String>), Problem> {
    let username = checked_username(&body.username);
    let names = [body.username.as_str(), body.email.as_deref().unwrap_or_default()];
    let password = checked_password(settings, &body.password, "/password", &names);
    let email = checked_email(body.email.as_deref());
    match (username, password, email) {
        (Ok(username), Ok(password), Ok(email)) => Ok((username, password, email)),
        (username, password, email) => {
            let errors = [username.err(), password.err(), email.err()];
            Err(Problem::invalid_fields(errors.into_iter().flatten().collect()))
        }
    }
}

pub(crate) fn checked_username(text: &str) -> Result<String, FieldError> {
    username::stored_form(text).map_err(|error| field("/username", &error))
}

/// `names` are those of the one whose password it is to be.
pub(crate) fn checked_password(
    settings: &Settings,
    text: &SecretText,
    pointer: &str,
    names: &[&str],
) -> Result<Password, FieldError> {
    let local_parts = names.iter().filter_map(|name| name.split_once('@')).map(|(local, _)| local);
    let names: Vec<&str> = names.iter().copied().chain(local_parts).collect();
    Password::to_set(text.expose(), settings, &names).map_err(|error| field(pointer, &error))
}

pub(crate) fn checked_email(text: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = text else { return Ok(None) };
    users::normal_email(text).map(Some).ok_or_else(|| field("/email", &"is an address like name@example.org"))
}

fn field(pointer: &str, detail: &dyn std::fmt::Display) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }
}

impl From<User> for Answer {
    fn from(user: User) -> Self {
        Self { id: user.id.to_string(), username: user.username, email: user.email }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::UsernameTaken => Problem::username_taken(),
            RegisterError::Store(error) => error.into(),
        }
    }
}
