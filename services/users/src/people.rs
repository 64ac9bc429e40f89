//! People, as this service knows them. Nobody tells us of new ones: a person is made at their first call, direct or by
//! another service on their behalf.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use demo_common::db::DbError;
use propusk_verify::axum::{ApiError, Caller};
use propusk_verify::problem::Problem;
use propusk_verify::{Permit, Reason, Refusal};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use crate::Users;

/// What a new account has.
pub(crate) const STARTING_BALANCE: i64 = 10_000_000;

/// How many people may be asked for at once.
const MAX_IDS: usize = 100;

/// A person.
pub(crate) struct Person {
    pub(crate) user_id: String,
    username: String,
    email: Option<String>,
    balance: i64,
}

/// What is told of a person: email and balance to nobody but themselves.
#[derive(Serialize)]
pub(crate) struct View {
    user_id: String,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<i64>,
}

/// `GET /users/me`.
pub(crate) async fn me(State(users): State<Users>, caller: Caller) -> Result<Json<View>, ApiError> {
    let sub = &caller.claims().sub;
    Ok(Json(match users.person(&caller).await? {
        Some(person) => person.seen_by(sub),
        // A client is nobody but itself and has no account.
        None => View { user_id: sub.clone(), username: sub.clone(), email: None, balance: None },
    }))
}

/// `GET /users/{user_id}`.
pub(crate) async fn one(
    State(users): State<Users>,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Result<Json<View>, ApiError> {
    users.greet(&caller).await;
    let person = users.db.read(move |db| find(db, &user_id)).await?;
    let person = person.ok_or_else(|| Problem::new(404, "not-found", "There is no such user"))?;
    Ok(Json(person.seen_by(&caller.claims().sub)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    ids: String,
}

/// `GET /users?ids=a,b`: in the order of the ids, without those that nobody has.
pub(crate) async fn batch(
    State(users): State<Users>,
    caller: Caller,
    query: Result<Query<Batch>, QueryRejection>,
) -> Result<Json<Vec<View>>, ApiError> {
    let Query(Batch { ids }) = query.map_err(|rejection| bad_request(rejection.body_text()))?;
    if ids.split(',').count() > MAX_IDS {
        return Err(bad_request(format!("At most {MAX_IDS} ids at once.")).into());
    }
    users.greet(&caller).await;
    let find_all = move |db: &Connection| ids.split(',').filter_map(|id| find(db, id).transpose()).collect();
    let people: Vec<Person> = users.db.read(find_all).await?;
    Ok(Json(people.into_iter().map(|person| person.seen_by(&caller.claims().sub)).collect()))
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(400, "bad-request", "The request is not well-formed").detail(detail)
}

impl Person {
    fn seen_by(self, caller: &str) -> View {
        let is_self = self.user_id == caller;
        View {
            user_id: self.user_id,
            username: self.username,
            email: self.email.filter(|_| is_self),
            balance: is_self.then_some(self.balance),
        }
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user_id: row.get("user_id")?,
            username: row.get("username")?,
            email: row.get("email")?,
            balance: row.get("balance")?,
        })
    }
}

fn find(db: &Connection, user_id: &str) -> Result<Option<Person>, DbError> {
    let mut query = db.prepare_cached("SELECT user_id, username, email, balance FROM users WHERE user_id = ?1")?;
    Ok(query.query_row([user_id], Person::of_row).optional()?)
}

impl Users {
    /// The person for whom the call is made. Unknown so far, they are made now; `None` is a client.
    pub(crate) async fn person(&self, caller: &Permit) -> Result<Option<Person>, ApiError> {
        if !caller.claims().is_person() {
            return Ok(None);
        }
        let user_id = caller.claims().sub.clone();
        if let Some(known) = self.db.read(move |db| find(db, &user_id)).await? {
            return Ok(Some(known));
        }
        let user_id = caller.claims().sub.clone();
        let identity = self.authority.identify(&caller.token()).await?;
        // A refresh will tell the client which it is: stale, or over.
        let identity = identity.ok_or_else(|| Refusal::from(Reason::Stale))?;
        let made = self
            .db
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO users (user_id, username, email, balance) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                    (&user_id, identity.username, identity.email, STARTING_BALANCE),
                )?;
                find(tx, &user_id)
            })
            .await?;
        Ok(made)
    }

    /// Makes a person known who calls about others. If that fails, which is in the log, they are answered all the same.
    async fn greet(&self, caller: &Permit) {
        drop(self.person(caller).await);
    }
}
