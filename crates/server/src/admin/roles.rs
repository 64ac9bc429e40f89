//! Roles: of a service, and of those who hold them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::audit::Actor;
use propusk_core::id::{Permission, RoleName, ServiceId};
use propusk_core::roles::{self, AssignError, DefineError, Definition};
use propusk_core::store::{Holder, Role, RoleGrant};
use propusk_core::version::Expected;
use serde::{Deserialize, Serialize};

use super::clients::client_id;
use super::groups::group_id;
use super::users::user_id;
use super::version::{IfMatch, etag};
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{ListQuery, StrictJson};
use crate::guard::Caller;

/// The three parts of `/{holder}/{id}/roles/{service}/{role}`.
type HolderPath = Path<(String, String, String)>;

macro_rules! assignments {
    ($($name:ident: $operation:path, $holder:expr;)*) => {$(
        pub(super) async fn $name(
            State(app): State<Arc<App>>,
            Caller(actor): Caller,
            Path((id, service, role)): HolderPath,
            wait: Wait,
        ) -> Result<Response, Problem> {
            let (holder, role) = ($holder(&id)?, role_grant(&service, &role)?);
            let seq = app.write(move |tx, env| $operation(tx, env, &actor, &holder, &role)).await?;
            Ok(app.enforce(seq, wait).await.into_response())
        }
    )*};
}

assignments! {
    give_user: roles::give, user;
    take_user: roles::take, user;
    give_client: roles::give, client;
    take_client: roles::take, client;
    give_group: roles::give, group;
    take_group: roles::take, group;
}

fn user(id: &str) -> Result<Holder, Problem> {
    user_id(id).map(Holder::User)
}

fn client(id: &str) -> Result<Holder, Problem> {
    client_id(id).map(Holder::Client)
}

fn group(id: &str) -> Result<Holder, Problem> {
    group_id(id).map(Holder::Group)
}

/// A role that somebody was given.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HeldRole {
    service: String,
    role: String,
}

impl From<RoleGrant> for HeldRole {
    fn from(grant: RoleGrant) -> Self {
        Self { service: grant.service.to_string(), role: grant.role.to_string() }
    }
}

/// What a person was given; what the person's groups were given is theirs.
pub(super) async fn of_user(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let held = app
        .read(move |tx, _| {
            tx.user(&id)?.ok_or_else(|| Problem::not_found("There is no such user."))?;
            Ok::<_, Problem>(tx.roles_of_holder(&Holder::User(id))?)
        })
        .await?;
    let all = held.into_iter().map(HeldRole::from).collect();
    let key = |held: &HeldRole| format!("{}/{}", held.service, held.role);
    Ok(Json(pages.part(&page, all, key)?).into_response())
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Role)]
pub(super) struct RoleView {
    role: String,
    permissions: Vec<String>,
    inherits: Vec<String>,
    /// With what it inherits.
    effective_permissions: Vec<String>,
}

impl RoleView {
    fn new(role: &Role, effective: &[Permission]) -> Self {
        let texts = |permissions: &[Permission]| permissions.iter().map(ToString::to_string).collect();
        Self {
            role: role.name.to_string(),
            permissions: texts(&role.permissions),
            inherits: role.inherits.iter().map(ToString::to_string).collect(),
            effective_permissions: texts(effective),
        }
    }
}

pub(super) async fn of_service(
    State(app): State<Arc<App>>,
    Path(service): Path<String>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let service: ServiceId = service.parse().map_err(|_| unknown_role())?;
    let items = app
        .read(move |tx, _| {
            tx.service(&service)?.ok_or_else(unknown_role)?;
            let table = roles::RoleTable::read(tx, &service)?;
            let found = tx.roles_of_service(&service, &page)?;
            Ok::<_, Problem>(
                found.iter().map(|role| RoleView::new(role, &table.permissions(&role.name))).collect::<Vec<_>>(),
            )
        })
        .await?;
    Ok(Json(pages.page(items, |role: &RoleView| role.role.clone())?).into_response())
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((service, role)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let grant = role_grant(&service, &role)?;
    let (role, effective) = app
        .read(move |tx, _| {
            let role = tx.role(&grant)?.ok_or_else(unknown_role)?;
            let table = roles::RoleTable::read(tx, &grant.service)?;
            let effective = table.permissions(&role.name);
            Ok::<_, Problem>((role, effective))
        })
        .await?;
    Ok(([etag(role.version)], Json(RoleView::new(&role, &effective))).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    inherits: Vec<RoleName>,
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((service, role)): Path<(String, String)>,
    IfMatch(expected): IfMatch,
    wait: Wait,
    StrictJson(body): StrictJson<NewRole>,
) -> Result<Response, Problem> {
    let role = role_grant(&service, &role)?;
    let definition = Definition { permissions: body.permissions, inherits: body.inherits };
    let job = Define { actor, role, expected };
    let seq = app.write(move |tx, env| roles::put(tx, env, &job.actor, &job.role, definition, &job.expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((service, role)): Path<(String, String)>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let job = Define { actor, role: role_grant(&service, &role)?, expected };
    let seq = app.write(move |tx, env| roles::delete(tx, env, &job.actor, &job.role, &job.expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn permit(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((service, role, permission)): Path<(String, String, String)>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let job = Define { actor, role: role_grant(&service, &role)?, expected };
    let permission = permission_in_path(&permission)?;
    let seq =
        app.write(move |tx, env| roles::permit(tx, env, &job.actor, &job.role, &permission, &job.expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn forbid(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((service, role, permission)): Path<(String, String, String)>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let job = Define { actor, role: role_grant(&service, &role)?, expected };
    let permission = permission_in_path(&permission)?;
    let seq =
        app.write(move |tx, env| roles::forbid(tx, env, &job.actor, &job.role, &permission, &job.expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

/// Who changes which role, as it was seen.
struct Define {
    actor: Actor,
    role: RoleGrant,
    expected: Expected,
}

fn permission_in_path(text: &str) -> Result<Permission, Problem> {
    text.parse().map_err(|error| Problem::invalid_field("/permission", format!("{error}")))
}

fn role_grant(service: &str, role: &str) -> Result<RoleGrant, Problem> {
    match (service.parse(), role.parse()) {
        (Ok(service), Ok(role)) => Ok(RoleGrant { service, role }),
        _ => Err(unknown_role()),
    }
}

fn unknown_role() -> Problem {
    Problem::not_found("There is no such service or role.")
}

impl From<AssignError> for Problem {
    fn from(error: AssignError) -> Self {
        match error {
            AssignError::UnknownHolder => Problem::not_found("There is no such user, client or group."),
            AssignError::UnknownRole => unknown_role(),
            AssignError::LastAdmin => Problem::last_admin(),
            AssignError::Store(error) => error.into(),
        }
    }
}

impl From<DefineError> for Problem {
    fn from(error: DefineError) -> Self {
        match error {
            DefineError::UnknownService | DefineError::UnknownRole => unknown_role(),
            DefineError::UnknownInherited(_) | DefineError::Cycle(_) => {
                Problem::invalid_field("/inherits", error.to_string())
            }
            DefineError::Changed => Problem::changed(),
            DefineError::LastAdmin => Problem::last_admin(),
            DefineError::Store(error) => error.into(),
        }
    }
}
