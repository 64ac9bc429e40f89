//! `POST /cars/{car_id}/buy`: the steps of a sale, whose rules are in [`crate::sale`].

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use propusk_verify::axum::{ApiError, EliteProof};
use propusk_verify::problem::Problem;
use propusk_verify::{Refusal, Verdict};

use crate::Cars;
use crate::accounts::Charge;
use crate::catalogue::{self, Car};
use crate::sale::{self, CalledOff, Sale};

/// 200 with the car, which is the buyer's now.
pub(crate) async fn buy(
    State(cars): State<Cars>,
    proof: EliteProof,
    Path(car_id): Path<String>,
) -> Result<Json<Car>, ApiError> {
    let buyer = proof.permit();
    if !buyer.claims().is_person() {
        return Err(people_only().into());
    }
    let token = cars.accounts.token_for(buyer).await?;
    let sale = cars.reserve(&proof, catalogue::parse_id(&car_id)?).await?;
    match cars.accounts.charge(&token, &sale).await {
        Charge::Confirmed => cars.sell(&proof, sale).await.map(Json),
        Charge::Refused(problem) => {
            cars.call_off(sale).await?;
            Err(problem.into())
        }
        Charge::Unknown => Err(sale::pending().into()),
    }
}

/// A client may have `cars:buy` by a role of its own; what it lacks is an account.
fn people_only() -> Problem {
    Problem::new(403, "people-only", "Only people buy cars").detail(
        "A car is paid from a person's account, and this token speaks for a client itself, which has none. \
         Send a token that speaks for a person.",
    )
}

impl Cars {
    async fn reserve(&self, proof: &EliteProof, car_id: i64) -> Result<Sale, ApiError> {
        let (proof, now_s) = (proof.clone(), now_s());
        self.db
            .write(move |tx| {
                let sale = sale::reserve(tx, car_id, &proof.permit().claims().sub, now_s)?;
                proof.still_valid_blocking()?;
                Ok::<_, ApiError>(sale)
            })
            .await
    }

    /// The moment of effect. Whoever may not buy any more is not sold the car and gets the money back.
    async fn sell(&self, proof: &EliteProof, sale: Sale) -> Result<Car, ApiError> {
        let proof = proof.clone();
        let outcome = self
            .db
            .write(move |tx| {
                Ok::<_, ApiError>(match proof.still_valid_blocking() {
                    Ok(_) => Outcome::Sold(sale::sell(tx, &sale.id)?),
                    // The sale stays pending, and the buyer may try again.
                    Err(refusal) if refusal.verdict() == Verdict::Unknown => Outcome::Refused(refusal, None),
                    Err(refusal) => Outcome::Refused(refusal, sale::call_off(tx, &sale.id)?),
                })
            })
            .await?;
        match outcome {
            Outcome::Sold(car) => Ok(car),
            Outcome::Refused(refusal, called_off) => {
                self.void(called_off).await;
                Err(refusal.into())
            }
        }
    }

    async fn call_off(&self, sale: Sale) -> Result<(), ApiError> {
        let called_off = self.db.write(move |tx| sale::call_off(tx, &sale.id)).await?;
        self.void(called_off).await;
        Ok(())
    }

    /// Has the debits voided, and closes the sales. Where that fails, [`crate::recovery`] comes back to it.
    pub(crate) async fn void(&self, sales: impl IntoIterator<Item = CalledOff>) {
        for sale in sales {
            let sale_id = sale.id().to_owned();
            if let Err(error) = self.accounts.void(&sale_id).await {
                tracing::warn!(%error, sale_id, "a sale is not voided yet");
            } else if let Err(error) = self.db.write(move |tx| sale::close(tx, &sale)).await {
                tracing::warn!(%error, sale_id, "a voided sale is not closed yet");
            }
        }
    }
}

enum Outcome {
    Sold(Car),
    Refused(Refusal, Option<CalledOff>),
}

/// Wall time in unix seconds. Only patience hangs on it, nothing that has to be right.
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
