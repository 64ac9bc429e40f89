//! The cars: what there is, what it costs, whose it is.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{AppendHeaders, IntoResponse};
use demo_common::db::DbError;
use http::StatusCode;
use http::header::LINK;
use propusk_verify::axum::{ApiError, EliteProof, StrictJson};
use propusk_verify::problem::Problem;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde::{Deserialize, Serialize};

use crate::{Cars, sale};

/// The longest name of a model, in code points.
const MAX_MODEL: usize = 100;

/// The highest price.
const MAX_PRICE: i64 = 1_000_000_000_000;

/// How many cars are shown at once, unless asked otherwise and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// A car.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Car {
    car_id: String,
    model: String,
    pub(crate) price: i64,
    pub(crate) owner_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The last car of the page before.
    cursor: Option<i64>,
    limit: Option<u32>,
}

/// `GET /cars`. If there may be more, the header `Link` leads to the next page (RFC 8288).
pub(crate) async fn list(
    State(cars): State<Cars>,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Query(Page { cursor, limit }) = query.map_err(|rejection| bad_request(rejection.body_text()))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_request(format!("limit is 1 to {MAX_LIMIT}")).into());
    }
    let page = cars.db.read(move |db| page_after(db, cursor.unwrap_or(0), limit)).await?;
    let last = page.last().filter(|_| page.len() == limit as usize);
    let next = last.map(|car| (LINK, format!("</cars?cursor={}&limit={limit}>; rel=\"next\"", car.car_id)));
    Ok((AppendHeaders(next), Json(page)))
}

/// `GET /cars/{car_id}`.
pub(crate) async fn one(State(cars): State<Cars>, Path(car_id): Path<String>) -> Result<Json<Car>, ApiError> {
    let car_id = parse_id(&car_id)?;
    let car = cars.db.read(move |db| find(db, car_id)).await?;
    Ok(Json(car.ok_or_else(no_such_car)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCar {
    model: String,
    price: i64,
}

/// `POST /cars`.
pub(crate) async fn create(
    State(cars): State<Cars>,
    proof: EliteProof,
    StrictJson(new): StrictJson<NewCar>,
) -> Result<(StatusCode, Json<Car>), ApiError> {
    check(&new)?;
    let made = cars
        .db
        .write(move |tx| {
            let car = insert(tx, new)?;
            proof.still_valid_blocking()?;
            Ok::<_, ApiError>(car)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /cars/{car_id}`. Not while somebody is buying it.
pub(crate) async fn remove(
    State(cars): State<Cars>,
    proof: EliteProof,
    Path(car_id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let car_id = parse_id(&car_id)?;
    cars.db
        .write(move |tx| {
            if sale::is_open(tx, car_id)? {
                let title = "Somebody is buying the car";
                return Err(Problem::new(409, "sale-pending", title).retry_after(2).into());
            }
            if !delete(tx, car_id)? {
                return Err(no_such_car().into());
            }
            proof.still_valid_blocking()?;
            Ok::<_, ApiError>(StatusCode::NO_CONTENT)
        })
        .await
}

pub(crate) fn no_such_car() -> Problem {
    Problem::new(404, "not-found", "There is no such car")
}

/// Ids are texts to others. One that is no number of ours is nobody's.
pub(crate) fn parse_id(car_id: &str) -> Result<i64, Problem> {
    car_id.parse().map_err(|_| no_such_car())
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(400, "bad-request", "The request is not well-formed").detail(detail)
}

fn check(new: &NewCar) -> Result<(), Problem> {
    let invalid = Problem::new(422, "invalid-field", "A member has a wrong value");
    if !(1..=MAX_MODEL).contains(&new.model.chars().count()) {
        return Err(invalid.error("/model", format!("1 to {MAX_MODEL} code points")));
    }
    if !(1..=MAX_PRICE).contains(&new.price) {
        return Err(invalid.error("/price", format!("1 to {MAX_PRICE}")));
    }
    Ok(())
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Car> {
    Ok(Car {
        car_id: row.get::<_, i64>("car_id")?.to_string(),
        model: row.get("model")?,
        price: row.get("price")?,
        owner_id: row.get("owner_id")?,
    })
}

pub(crate) fn find(db: &Connection, car_id: i64) -> Result<Option<Car>, DbError> {
    let mut query = db.prepare_cached("SELECT car_id, model, price, owner_id FROM cars WHERE car_id = ?1")?;
    Ok(query.query_row([car_id], of_row).optional()?)
}

fn page_after(db: &Connection, car_id: i64, limit: u32) -> Result<Vec<Car>, DbError> {
    let mut query = db
        .prepare_cached("SELECT car_id, model, price, owner_id FROM cars WHERE car_id > ?1 ORDER BY car_id LIMIT ?2")?;
    let cars = query.query_map((car_id, limit), of_row)?;
    Ok(cars.collect::<Result<_, _>>()?)
}

fn insert(tx: &Transaction<'_>, new: NewCar) -> Result<Car, DbError> {
    tx.execute("INSERT INTO cars (model, price) VALUES (?1, ?2)", (&new.model, new.price))?;
    let car_id = tx.last_insert_rowid().to_string();
    Ok(Car { car_id, model: new.model, price: new.price, owner_id: None })
}

fn delete(tx: &Transaction<'_>, car_id: i64) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM cars WHERE car_id = ?1", [car_id])? > 0)
}

/// Makes the buyer the owner.
pub(crate) fn hand_over(tx: &Transaction<'_>, car_id: i64, buyer_id: &str) -> Result<Option<Car>, DbError> {
    let mut update =
        tx.prepare_cached("UPDATE cars SET owner_id = ?2 WHERE car_id = ?1 RETURNING car_id, model, price, owner_id")?;
    Ok(update.query_row((car_id, buyer_id), of_row).optional()?)
}
