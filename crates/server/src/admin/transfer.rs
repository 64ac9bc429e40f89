//! `POST /admin/v1/users/import` and `GET /admin/v1/users/export`: people with the hashes of their passwords.
//!
//! A batch is one transaction. Each of its people is answered: `created`, `exists` if the same was imported before, or
//! `refused` with the reason; so a batch whose answer was lost is sent again. What comes out of an export goes into an
//! import. Both are audited, an export page by page, before the first hash leaves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use propusk_core::env::Timestamp;
use propusk_core::transfer::{self, Imported, Person, Told};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::once::{Done, OnceJson};
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::ListQuery;
use crate::guard::Caller;

/// The most people of one call.
const MAX_ITEMS: usize = 200;

/// People to take over.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Import)]
pub(super) struct Batch {
    /// At most 200. One that is not of the wanted form is refused alone.
    #[schema(value_type = Vec<TransferredUser>)]
    items: Vec<Value>,
}

/// A person on the way from one system to another.
#[derive(Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferredUser {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// argon2, bcrypt, scrypt or PBKDF2. It is replaced at the next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
    #[serde(default)]
    disabled: bool,
    /// Such as `cars/buyer`. They have to be there.
    #[serde(default)]
    roles: Vec<String>,
    /// Those that are missing are made.
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// What became of each, in the same order.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImportAnswer {
    items: Vec<ImportedView>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImportedView {
    /// `created`, `exists` or `refused`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) async fn import(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<Batch>,
) -> Result<Response, Problem> {
    if body.items.len() > MAX_ITEMS {
        return Err(Problem::invalid_field("/items", format!("has at most {MAX_ITEMS} people")));
    }
    let people: Vec<Result<Person, String>> = body.items.into_iter().map(checked).collect();
    app.once(once, wait, move |tx, env, actor| {
        let mut items = Vec::with_capacity(people.len());
        for person in &people {
            items.push(match person {
                Ok(person) => transfer::import(tx, env, actor, person)?.into(),
                Err(reason) => ImportedView::refused(reason.clone()),
            });
        }
        Done::answered(&ImportAnswer { items })
    })
    .await
}

fn checked(item: Value) -> Result<Person, String> {
    let user: TransferredUser = serde_json::from_value(item).map_err(|error| error.to_string())?;
    Told::from(user).checked().map_err(|refusal| refusal.to_string())
}

impl ImportedView {
    fn refused(reason: String) -> Self {
        Self { outcome: "refused", id: None, reason: Some(reason) }
    }
}

impl From<Imported> for ImportedView {
    fn from(imported: Imported) -> Self {
        let known = |outcome, id: String| Self { outcome, id: Some(id), reason: None };
        match imported {
            Imported::Created(id) => known("created", id.to_string()),
            Imported::Exists(id) => known("exists", id.to_string()),
            Imported::Refused(refusal) => Self::refused(refusal.to_string()),
        }
    }
}

impl From<TransferredUser> for Told {
    fn from(user: TransferredUser) -> Self {
        let TransferredUser { id, username, email, password_hash, disabled, roles, groups, created_at } = user;
        Self { id, username, email, password_hash, disabled, roles, groups, created_at }
    }
}

impl From<Person> for TransferredUser {
    fn from(person: Person) -> Self {
        Self {
            id: person.id.map(|id| id.to_string()),
            username: person.username,
            email: person.email,
            password_hash: person.password_hash,
            disabled: person.disabled,
            roles: person.roles.iter().map(transfer::shown).collect(),
            groups: person.groups.iter().map(ToString::to_string).collect(),
            created_at: person.created_at.as_ref().map(Timestamp::to_string),
        }
    }
}

pub(super) async fn export(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let people = app.write(move |tx, env| transfer::export(tx, env, &actor, &page)).await?;
    let users = people.into_iter().map(TransferredUser::from).collect();
    let list = pages.page(users, |user: &TransferredUser| user.id.clone().unwrap_or_default())?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(list)).into_response())
}
