//! Charging a person, once for each reference, and undoing it.
//!
//! Only `cars` may, and only with a reference of its own choice (the id of a sale). A reference is in one of three
//! states: unused, charged, voided. It is charged at most once, whatever is repeated; voiding gives the money back, and
//! works for an unused one too, so that a charge which is still on its way finds a closed door. Nothing leads out of
//! voided.

use axum::Json;
use axum::extract::{Path, State};
use demo_common::db::DbError;
use http::StatusCode;
use propusk_verify::axum::{ApiError, EliteProof, StrictJson};
use propusk_verify::problem::Problem;
use propusk_verify::{Reason, Refusal};
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

use crate::Users;

/// The service that may charge people.
const CHARGING_SERVICE: &str = "cars";

/// The longest reference.
const MAX_REFERENCE: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDebit {
    amount: i64,
    reference: String,
}

/// What was charged, and what was left then.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Debit {
    reference: String,
    user_id: String,
    amount: i64,
    balance: i64,
}

/// `POST /users/me/debits`: 201, or 200 with the first answer if the reference was charged before.
pub(crate) async fn create(
    State(users): State<Users>,
    proof: EliteProof,
    StrictJson(new): StrictJson<NewDebit>,
) -> Result<(StatusCode, Json<Debit>), ApiError> {
    let caller = proof.permit();
    if caller.claims().actor() != Some(CHARGING_SERVICE) {
        return Err(Refusal::from(Reason::PermissionMissing).into());
    }
    check(&new)?;
    let person = users.person(caller).await?.ok_or_else(people_only)?;
    let (status, debit) = users
        .db
        .write(move |tx| {
            let done = charge(tx, person.user_id, new)?;
            // The moment of effect: the token has to be good now, not only when the request came in.
            proof.still_valid_blocking()?;
            Ok::<_, ApiError>(done)
        })
        .await?;
    Ok((status, Json(debit)))
}

#[derive(Serialize)]
pub(crate) struct Voided {
    reference: String,
    state: &'static str,
}

/// `POST /users/debits/{reference}/void`: 200, however often.
pub(crate) async fn void(
    State(users): State<Users>,
    proof: EliteProof,
    Path(reference): Path<String>,
) -> Result<Json<Voided>, ApiError> {
    if proof.permit().claims().sub != CHARGING_SERVICE {
        return Err(Refusal::from(Reason::PermissionMissing).into());
    }
    check_reference(&reference)?;
    let voided = users
        .db
        .write(move |tx| {
            close(tx, &reference)?;
            proof.still_valid_blocking()?;
            Ok::<_, ApiError>(Voided { reference, state: "voided" })
        })
        .await?;
    Ok(Json(voided))
}

fn check(new: &NewDebit) -> Result<(), Problem> {
    check_reference(&new.reference)?;
    if new.amount > 0 { Ok(()) } else { Err(invalid("/amount", "a positive whole number")) }
}

fn check_reference(reference: &str) -> Result<(), Problem> {
    let is_sane = (1..=MAX_REFERENCE).contains(&reference.len()) && reference.bytes().all(|b| b.is_ascii_graphic());
    if is_sane { Ok(()) } else { Err(invalid("/reference", "1 to 128 visible ASCII characters")) }
}

fn invalid(pointer: &str, right: &str) -> Problem {
    Problem::new(422, "invalid-field", "A member has a wrong value").error(pointer, right)
}

fn people_only() -> Problem {
    Problem::new(403, "people-only", "Only people have accounts")
        .detail("This token speaks for a client itself. Exchange one that speaks for a person.")
}

fn charge(tx: &Transaction<'_>, user_id: String, new: NewDebit) -> Result<(StatusCode, Debit), ApiError> {
    let NewDebit { amount, reference } = new;
    match earlier(tx, &reference)? {
        Some(Earlier::Voided) => return Err(Problem::new(409, "voided", "The reference was voided").into()),
        Some(Earlier::Charged(debit)) if debit.user_id == user_id && debit.amount == amount => {
            return Ok((StatusCode::OK, debit));
        }
        Some(Earlier::Charged(_)) => {
            return Err(Problem::new(409, "reference-conflict", "The reference is taken by another debit").into());
        }
        None => {}
    }
    let balance = take(tx, &user_id, amount)?
        .ok_or_else(|| Problem::new(409, "insufficient-funds", "The balance does not cover it"))?;
    let debit = Debit { reference, user_id, amount, balance };
    record(tx, &debit)?;
    Ok((StatusCode::CREATED, debit))
}

enum Earlier {
    Charged(Debit),
    Voided,
}

fn earlier(db: &Connection, reference: &str) -> Result<Option<Earlier>, DbError> {
    let mut query = db.prepare_cached("SELECT state, user_id, amount, balance FROM debits WHERE reference = ?1")?;
    let found = query.query_row([reference], |row| {
        if row.get::<_, String>("state")? == "voided" {
            return Ok(Earlier::Voided);
        }
        Ok(Earlier::Charged(Debit {
            reference: reference.to_owned(),
            user_id: row.get("user_id")?,
            amount: row.get("amount")?,
            balance: row.get("balance")?,
        }))
    });
    Ok(found.optional()?)
}

/// What is left after the amount was taken; nothing is taken if it does not suffice.
fn take(tx: &Transaction<'_>, user_id: &str, amount: i64) -> Result<Option<i64>, DbError> {
    let mut update = tx.prepare_cached(
        "UPDATE users SET balance = balance - ?2 WHERE user_id = ?1 AND balance >= ?2 RETURNING balance",
    )?;
    Ok(update.query_row((user_id, amount), |row| row.get(0)).optional()?)
}

fn record(tx: &Transaction<'_>, debit: &Debit) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO debits (reference, state, user_id, amount, balance) VALUES (?1, 'charged', ?2, ?3, ?4)",
        (&debit.reference, &debit.user_id, debit.amount, debit.balance),
    )?;
    Ok(())
}

/// Gives back what was charged under the reference, and closes it.
fn close(tx: &Transaction<'_>, reference: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE users SET balance = users.balance + debits.amount FROM debits
         WHERE debits.reference = ?1 AND debits.state = 'charged' AND users.user_id = debits.user_id",
        [reference],
    )?;
    tx.execute(
        "INSERT INTO debits (reference, state) VALUES (?1, 'voided')
         ON CONFLICT (reference) DO UPDATE SET state = 'voided'",
        [reference],
    )?;
    Ok(())
}
