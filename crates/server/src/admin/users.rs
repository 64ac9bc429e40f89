//! `/admin/v1/users`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::env::Timestamp;
use propusk_core::id::UserId;
use propusk_core::store::User;
use propusk_core::users::{self, NewUser, UserChange};
use serde::{Deserialize, Serialize};

use super::once::{Done, Once, OnceJson};
use super::patch::given;
use super::version::{IfMatch, NeededIfMatch, etag};
use crate::app::App;
use crate::auth::{checked_email, checked_password, checked_username};
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{List, ListQuery, Queried, SecretText, StrictJson};
use crate::guard::Caller;

/// A person as administrators see them.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    id: String,
    username: String,
    email: Option<String>,
    disabled: bool,
    #[schema(value_type = String, format = DateTime)]
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
    Queried(filter): Queried<Filter>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    if let Some(typed) = filter.username {
        let found = app.read(move |tx, _| users::by_typed_username(tx, &typed)).await?;
        let items: Vec<_> = found.into_iter().map(UserView::from).collect();
        return Ok(Json(List { items, next_cursor: None }).into_response());
    }
    let users = app.read(move |tx, _| tx.users(&page)).await?;
    let views = users.into_iter().map(UserView::from).collect();
    Ok(Json(pages.page(views, |user: &UserView| user.id.clone())?).into_response())
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let user = app.read(move |tx, _| tx.user(&id)).await?.ok_or_else(unknown)?;
    Ok(([etag(user.version)], Json(UserView::from(user))).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(super) struct New {
    username: String,
    #[schema(value_type = Option<String>)]
    password: Option<SecretText>,
    email: Option<String>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<New>,
) -> Result<Response, Problem> {
    let username = checked_username(&body.username);
    let names = [body.username.as_str(), body.email.as_deref().unwrap_or_default()];
    let password = body.password.as_ref();
    let password = password.map(|text| checked_password(&app.settings, text, "/password", &names)).transpose();
    let email = checked_email(body.email.as_deref());
    let (username, password, email) = match (username, password, email) {
        (Ok(username), Ok(password), Ok(email)) => (username, password, email),
        (username, password, email) => {
            let errors = [username.err(), password.err(), email.err()];
            return Err(Problem::invalid_fields(errors.into_iter().flatten().collect()));
        }
    };
    let password_hash = match password {
        Some(password) => Some(app.hashing.hash(password).await?),
        None => None,
    };
    let new = NewUser { username, email, password_hash };
    app.once(once, wait, move |tx, env, actor| {
        let user = users::register(tx, env, actor, new)?;
        let version = user.version;
        Ok(Done::created(&UserView::from(user))?.version(version))
    })
    .await
}

/// A merge patch (RFC 7396): what is not there stays, `null` takes away.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChanges)]
pub(super) struct Changes {
    username: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    NeededIfMatch(expected): NeededIfMatch,
    wait: Wait,
    StrictJson(body): StrictJson<Changes>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let one = |error| Problem::invalid_fields(vec![error]);
    let username = body.username.as_deref().map(checked_username).transpose().map_err(one)?;
    let email = body.email.map(|email| checked_email(email.as_deref())).transpose().map_err(one)?;
    let change = UserChange { username, email };
    let (user, seq) = app.write(move |tx, env| users::change(tx, env, &actor, &id, change, &expected)).await?;
    let headers = [etag(user.version), app.enforce(seq, wait).await.header()];
    Ok((headers, Json(UserView::from(user))).into_response())
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let seq = app.write(move |tx, env| users::delete(tx, env, &actor, &id, &expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    wait: Wait,
    once: Once,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    app.once(once, wait, move |tx, env, actor| Ok(Done::changed(users::disable(tx, env, actor, &id)?))).await
}

pub(super) async fn enable(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    wait: Wait,
    once: Once,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    app.once(once, wait, move |tx, env, actor| Ok(Done::changed(users::enable(tx, env, actor, &id)?))).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    #[schema(value_type = String)]
    password: SecretText,
}

pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    wait: Wait,
    StrictJson(body): StrictJson<NewPassword>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let of = id.clone();
    let user = app.read(move |tx, _| tx.user(&of)).await?.ok_or_else(unknown)?;
    let names = [user.username.as_str(), user.email.as_deref().unwrap_or_default()];
    let password = checked_password(&app.settings, &body.password, "/password", &names)
        .map_err(|error| Problem::invalid_fields(vec![error]))?;
    let hash = app.hashing.hash(password).await?;
    let seq = app.write(move |tx, env| users::change_password(tx, env, &actor, &id, hash, None)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn end_sessions(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let seq = app.write(move |tx, env| users::sign_out_everywhere(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("There is no such user.")
}
