//! A sale: the one thing here that moves money, which another service keeps.
//!
//! A sale has an id of its own, which is the reference of the debit at `users`. `users` charges a reference at most
//! once, and never again after it was voided. Between the two services anything may be lost, repeated or late, and
//! either may die at any point. What holds all the same:
//!
//! 1. No debit is sent but under the id of a sale that is committed here as *pending*.
//! 2. A car has at most one open sale (*pending* or *voiding*), and none once it is sold.
//! 3. A pending sale becomes *sold* only after `users` has confirmed the debit, and *voiding* before `users` is asked to
//!    void it. One row holds the state, so it is never both.
//! 4. A voiding sale becomes *void* only after `users` has confirmed that the reference is voided, which it stays.
//!
//! Whether the buyer may buy is asked in the transaction that reserves and again in the one that sells. Who may not any
//! more is given back what was charged meanwhile.
//!
//! ```text
//!            debit confirmed
//!   pending ────────────────► sold
//!      │
//!      │ refused, given up, or no longer allowed
//!      ▼
//!   voiding ────────────────► void
//!            void confirmed
//! ```
//!
//! So a sale that is sold was charged exactly once, and any other is not charged in the end. No sale stays open: the
//! buyer who tries again goes on with their pending one, under the same id, and [`crate::recovery`] voids what nobody
//! goes on with.

use demo_common::db::DbError;
use propusk_verify::axum::ApiError;
use propusk_verify::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::catalogue::{self, Car};

/// The most sales that one round of recovery closes.
const ROUND: u32 = 100;

/// A pending sale: what may be charged, and under which reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sale {
    pub(crate) id: String,
    pub(crate) price: i64,
}

/// Opens a sale, or goes on with the buyer's own pending one.
pub(crate) fn reserve(tx: &Transaction<'_>, car_id: i64, buyer_id: &str, now_s: i64) -> Result<Sale, ApiError> {
    let car = catalogue::find(tx, car_id)?.ok_or_else(catalogue::no_such_car)?;
    if let Some(owner_id) = car.owner_id {
        return Err(already_sold(if owner_id == buyer_id { "It is yours." } else { "It has an owner." }).into());
    }
    match open_sale(tx, car_id)? {
        None => Ok(insert(tx, car_id, buyer_id, car.price, now_s)?),
        Some(other) if other.buyer_id != buyer_id => Err(already_sold("Somebody else is buying it.").into()),
        Some(own) if own.state == "pending" => Ok(touch(tx, own.sale, now_s)?),
        Some(_) => Err(pending().into()),
    }
}

/// Makes the buyer the owner. Only to be called after `users` has confirmed the debit. Selling twice is selling once;
/// what is being voided is not sold any more.
pub(crate) fn sell(tx: &Transaction<'_>, sale_id: &str) -> Result<Car, ApiError> {
    let (car_id, buyer_id) = mark_sold(tx, sale_id)?.ok_or_else(pending)?;
    Ok(catalogue::hand_over(tx, car_id, &buyer_id)?.ok_or_else(catalogue::no_such_car)?)
}

/// A sale that is *voiding*: never to be sold, and its debit to be voided. Only the functions here make one, so that
/// nobody voids the debit of a sale that is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CalledOff {
    id: String,
}

impl CalledOff {
    /// The reference that is to be voided, once this is committed.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// Gives a sale up, unless it is over already.
pub(crate) fn call_off(tx: &Transaction<'_>, sale_id: &str) -> Result<Option<CalledOff>, DbError> {
    let mut update = tx.prepare_cached(
        "UPDATE sales SET state = 'voiding' WHERE sale_id = ?1 AND state IN ('pending', 'voiding') RETURNING sale_id",
    )?;
    Ok(update.query_row([sale_id], |row| Ok(CalledOff { id: row.get(0)? })).optional()?)
}

/// Gives up what nobody has gone on with since `before_s`. Returns all that is to be voided, the oldest first.
pub(crate) fn abandon(tx: &Transaction<'_>, before_s: i64) -> Result<Vec<CalledOff>, DbError> {
    tx.execute("UPDATE sales SET state = 'voiding' WHERE state = 'pending' AND touched_at < ?1", [before_s])?;
    let mut query = tx.prepare("SELECT sale_id FROM sales WHERE state = 'voiding' ORDER BY touched_at LIMIT ?1")?;
    let sales = query.query_map([ROUND], |row| Ok(CalledOff { id: row.get(0)? }))?;
    Ok(sales.collect::<Result<_, _>>()?)
}

/// Ends a sale. Only to be called after `users` has confirmed that its debit is void.
pub(crate) fn close(tx: &Transaction<'_>, sale: &CalledOff) -> Result<(), DbError> {
    tx.execute("UPDATE sales SET state = 'void' WHERE sale_id = ?1 AND state = 'voiding'", [&sale.id])?;
    Ok(())
}

/// Whether the car has an open sale.
pub(crate) fn is_open(db: &Connection, car_id: i64) -> Result<bool, DbError> {
    Ok(open_sale(db, car_id)?.is_some())
}

/// Nobody knows yet how the sale ends. To try again is safe: it is the same sale that goes on.
pub(crate) fn pending() -> Problem {
    Problem::new(503, "sale-pending", "The sale is not decided yet")
        .detail("Try again. You will not be charged twice, and not at all if it comes to nothing.")
        .retry_after(2)
}

fn already_sold(detail: &str) -> Problem {
    Problem::new(409, "already-sold", "The car is sold").detail(detail)
}

struct OpenSale {
    sale: Sale,
    buyer_id: String,
    state: String,
}

fn open_sale(db: &Connection, car_id: i64) -> Result<Option<OpenSale>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT sale_id, price, buyer_id, state FROM sales WHERE car_id = ?1 AND state IN ('pending', 'voiding')",
    )?;
    let found = query.query_row([car_id], |row| {
        Ok(OpenSale {
            sale: Sale { id: row.get("sale_id")?, price: row.get("price")? },
            buyer_id: row.get("buyer_id")?,
            state: row.get("state")?,
        })
    });
    Ok(found.optional()?)
}

/// A new sale, with an id of 128 random bits.
fn insert(tx: &Transaction<'_>, car_id: i64, buyer_id: &str, price: i64, now_s: i64) -> Result<Sale, DbError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO sales (sale_id, car_id, buyer_id, price, state, touched_at)
         VALUES (lower(hex(randomblob(16))), ?1, ?2, ?3, 'pending', ?4) RETURNING sale_id",
    )?;
    let id = insert.query_row((car_id, buyer_id, price, now_s), |row| row.get(0))?;
    Ok(Sale { id, price })
}

fn touch(tx: &Transaction<'_>, sale: Sale, now_s: i64) -> Result<Sale, DbError> {
    tx.execute("UPDATE sales SET touched_at = ?2 WHERE sale_id = ?1", (&sale.id, now_s))?;
    Ok(sale)
}

/// The car and the buyer, if the sale may be sold or is.
fn mark_sold(tx: &Transaction<'_>, sale_id: &str) -> Result<Option<(i64, String)>, DbError> {
    let mut update = tx.prepare_cached(
        "UPDATE sales SET state = 'sold' WHERE sale_id = ?1 AND state IN ('pending', 'sold')
         RETURNING car_id, buyer_id",
    )?;
    Ok(update.query_row([sale_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

#[cfg(test)]
mod tests;
