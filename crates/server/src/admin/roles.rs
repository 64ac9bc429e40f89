//! Roles: of a service, and of those who hold them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::id::{Permission, ServiceId};
use propusk_core::roles::{self, RoleError};
use propusk_core::services;
use propusk_core::store::{Holder, RoleGrant, StoreError};
use propusk_verify::axum::EliteProof;
use serde::{Deserialize, Serialize};

use super::clients::client_id;
use super::users::user_id;
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{List, Origin, StrictJson};

/// The three parts of `/{holder}/{id}/roles/{service}/{role}`.
type HolderPath = Path<(String, String, String)>;

pub(super) async fn give_user(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path((id, service, role)): HolderPath,
    wait: Wait,
) -> Result<Response, Problem> {
    change(&app, &proof, &origin, wait, Holder::User(user_id(&id)?), role_grant(&service, &role)?, true).await
}

pub(super) async fn take_user(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path((id, service, role)): HolderPath,
    wait: Wait,
) -> Result<Response, Problem> {
    change(&app, &proof, &origin, wait, Holder::User(user_id(&id)?), role_grant(&service, &role)?, false).await
}

pub(super) async fn give_client(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path((id, service, role)): HolderPath,
    wait: Wait,
) -> Result<Response, Problem> {
    change(&app, &proof, &origin, wait, Holder::Client(client_id(&id)?), role_grant(&service, &role)?, true).await
}

pub(super) async fn take_client(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path((id, service, role)): HolderPath,
    wait: Wait,
) -> Result<Response, Problem> {
    change(&app, &proof, &origin, wait, Holder::Client(client_id(&id)?), role_grant(&service, &role)?, false).await
}

async fn change(
    app: &App,
    proof: &EliteProof,
    origin: &Origin,
    wait: Wait,
    holder: Holder,
    role: RoleGrant,
    give: bool,
) -> Result<Response, Problem> {
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let seq = app
        .write(move |tx, env| {
            let operation = if give { roles::give } else { roles::take };
            operation(tx, env, &actor, &holder, &role)
        })
        .await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

#[derive(Serialize)]
struct HeldRole {
    service: String,
    role: String,
}

pub(super) async fn of_user(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let holder = Holder::User(user_id(&id)?);
    let held = app.read(move |tx, _| tx.roles_of_holder(&holder)).await?;
    let items: Vec<_> = held
        .into_iter()
        .map(|grant| HeldRole { service: grant.service.to_string(), role: grant.role.to_string() })
        .collect();
    Ok(Json(List { items, next_cursor: None }).into_response())
}

#[derive(Serialize)]
struct RoleView {
    role: String,
    permissions: Vec<String>,
}

pub(super) async fn of_service(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let service: ServiceId = id.parse().map_err(|_| unknown_role())?;
    let items = app
        .read(move |tx, _| {
            let mut items = Vec::new();
            for role in tx.roles_of_service(&service)? {
                let grant = RoleGrant { service: service.clone(), role };
                let permissions = tx.permissions_of_role(&grant)?;
                let permissions = permissions.iter().map(ToString::to_string).collect();
                items.push(RoleView { role: grant.role.to_string(), permissions });
            }
            Ok::<_, StoreError>(items)
        })
        .await?;
    Ok(Json(List { items, next_cursor: None }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    permissions: Vec<Permission>,
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    proof: EliteProof,
    origin: Origin,
    Path((service, role)): Path<(String, String)>,
    wait: Wait,
    StrictJson(body): StrictJson<NewRole>,
) -> Result<Response, Problem> {
    let role = role_grant(&service, &role)?;
    let actor = origin.actor(proof.permit().claims().sub.clone());
    let mut permissions = body.permissions;
    permissions.sort();
    permissions.dedup();
    let seq = app
        .write(move |tx, env| {
            if tx.service(&role.service)?.is_none() {
                return Err(unknown_role());
            }
            Ok(services::put_role(tx, env, &actor, &role, &permissions)?)
        })
        .await?;
    Ok(app.enforce(seq, wait).await.into_response())
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

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::UnknownHolder => Problem::not_found("There is no such user or client."),
            RoleError::UnknownRole => unknown_role(),
            RoleError::LastAdmin => Problem::last_admin(),
            RoleError::Store(error) => error.into(),
        }
    }
}
