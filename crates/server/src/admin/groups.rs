//! `/admin/v1/groups`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::env::Timestamp;
use propusk_core::groups::{self, GroupError};
use propusk_core::id::GroupId;
use propusk_core::store::{Group, Holder};
use serde::{Deserialize, Serialize};

use super::once::{Done, OnceJson};
use super::roles::HeldRole;
use super::users::user_id;
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::ListQuery;
use crate::guard::Caller;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Group)]
pub(super) struct GroupView {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self { id: group.id.to_string(), created_at: group.created_at }
    }
}

/// With what it was given.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WholeGroup)]
pub(super) struct WholeGroupView {
    #[serde(flatten)]
    group: GroupView,
    roles: Vec<HeldRole>,
}

pub(super) async fn list(State(app): State<Arc<App>>, ListQuery(page, pages): ListQuery) -> Result<Response, Problem> {
    let found = app.read(move |tx, _| tx.groups(&page)).await?;
    let views = found.into_iter().map(GroupView::from).collect();
    Ok(Json(pages.page(views, |group: &GroupView| group.id.clone())?).into_response())
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = group_id(&id)?;
    let (group, roles) = app
        .read(move |tx, _| {
            let group = tx.group(&id)?.ok_or_else(unknown)?;
            Ok::<_, Problem>((group, tx.roles_of_holder(&Holder::Group(id))?))
        })
        .await?;
    let roles = roles.into_iter().map(HeldRole::from).collect();
    Ok(Json(WholeGroupView { group: group.into(), roles }).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGroup)]
pub(super) struct New {
    id: String,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<New>,
) -> Result<Response, Problem> {
    let id: GroupId = body.id.parse().map_err(|error| Problem::invalid_field("/id", format!("{error}")))?;
    app.once(once, wait, move |tx, env, actor| Done::created(&GroupView::from(groups::create(tx, env, actor, id)?)))
        .await
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let id = group_id(&id)?;
    let seq = app.write(move |tx, env| groups::delete(tx, env, &actor, &id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Member)]
pub(super) struct MemberView {
    user_id: String,
    username: String,
}

pub(super) async fn members(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let id = group_id(&id)?;
    let items = app
        .read(move |tx, _| {
            tx.group(&id)?.ok_or_else(unknown)?;
            let mut views = Vec::new();
            for user in tx.members_of_group(&id, &page)? {
                let username = tx.user(&user)?.map(|user| user.username).unwrap_or_default();
                views.push(MemberView { user_id: user.to_string(), username });
            }
            Ok::<_, Problem>(views)
        })
        .await?;
    Ok(Json(pages.page(items, |member: &MemberView| member.user_id.clone())?).into_response())
}

pub(super) async fn add_member(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((id, user)): Path<(String, String)>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, user) = (group_id(&id)?, user_id(&user)?);
    let seq = app.write(move |tx, env| groups::add_member(tx, env, &actor, &id, &user)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn remove_member(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((id, user)): Path<(String, String)>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (id, user) = (group_id(&id)?, user_id(&user)?);
    let seq = app.write(move |tx, env| groups::remove_member(tx, env, &actor, &id, &user)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) fn group_id(text: &str) -> Result<GroupId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("There is no such group.")
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Exists => Problem::new(StatusCode::CONFLICT, "group-exists", "There is a group of this name"),
            GroupError::Unknown => unknown(),
            GroupError::UnknownUser => Problem::not_found("There is no such user."),
            GroupError::LastAdmin => Problem::last_admin(),
            GroupError::Store(error) => error.into(),
        }
    }
}
