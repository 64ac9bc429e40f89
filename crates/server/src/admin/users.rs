//! `/admin/v1/users`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::env::Timestamp;
use propusk_core::id::UserId;
use propusk_core::store::{StoreError, User};
use propusk_core::users::{self, NewUser};
use propusk_verify::axum::EliteProof;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::{checked_email, checked_password, checked_username};
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{List, ListQuery, Origin, SecretText, StrictJson};

/// A person as administrators see them.
#[derive(Serialize)]
struct UserView {
    id: String,
    username: String,
    email: Option<String>,
    disabled: bool,
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            email: user.email,
            disabled: user.disabled,
            created_at: user.created_at,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Filter {
    username: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
    ListQuery(page): ListQuery,
) -> Result<Response, Problem> {
    let limit = page.limit;
    let users: Vec<User> = app
        .read(move |tx, _| match filter.username {
            Some(typed) => Ok::<_, StoreError>(users::by_typed_username(tx, &typed)?.into_iter().collect()),
            None => tx.users(&page),
        })
        .await?;
    let views = users.into_iter().map(UserView::from).collect();
    Ok(Json(List::page(views, limit, |user: &UserView| user.id.clone())).into_response())
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let user = app.read(move |tx, _| tx.user(&id)).await?.ok_or_else(unknown)?;
    Ok(Json(UserView::from(user)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    username: String,
    password: SecretText,
    email: Option<String>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    StrictJson(body): StrictJson<New>,
) -> Result<Response, Problem> {
    let one = |error| Problem::invalid_fields(vec![error]);
    let username = checked_username(&body.username).map_err(one)?;
    let password = checked_password(&app.settings, &body.password, "/password").map_err(one)?;
    let email = checked_email(body.email.as_deref()).map_err(one)?;
    let password_hash = app.hashing.hash(password).await?;
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let new = NewUser { username, email, password_hash };
    let user = app.write(move |tx, env| users::register(tx, env, &actor, new)).await?;
    Ok((StatusCode::CREATED, Json(UserView::from(user))).into_response())
}

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let seq = app.write(move |tx, env| users::disable(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn enable(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let seq = app.write(move |tx, env| users::enable(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    password: SecretText,
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
    StrictJson(body): StrictJson<NewPassword>,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let password = checked_password(&app.settings, &body.password, "/password")
        .map_err(|error| Problem::invalid_fields(vec![error]))?;
    let hash = app.hashing.hash(password).await?;
    let seq = app.write(move |tx, env| users::change_password(tx, env, &actor, &id, hash, None)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn end_sessions(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, origin.actor(proof.permit().claims().sub.clone()));
    let seq = app.write(move |tx, env| users::sign_out_everywhere(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("There is no such user.")
}
