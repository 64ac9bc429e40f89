//! Closes sales that nobody goes on with: a message was lost, a service died, a buyer walked away.
//!
//! They are voided and not completed: who was not told "sold" was not sold, and is not charged.

use std::convert::Infallible;
use std::time::Duration;

use demo_common::db::DbError;
use tokio::time::MissedTickBehavior;

use crate::Cars;
use crate::buy::now_s;
use crate::sale;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);

/// After how long nobody is expected to go on with a pending sale.
const PATIENCE_S: i64 = 15;

/// Runs for as long as the service.
pub(crate) async fn run(cars: Cars) -> Infallible {
    let mut rounds = tokio::time::interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = cars.close_abandoned(now_s() - PATIENCE_S).await {
            tracing::warn!(%error, "abandoned sales could not be looked up");
        }
    }
}

impl Cars {
    /// One round: all that was last touched before `before_s`.
    pub(crate) async fn close_abandoned(&self, before_s: i64) -> Result<(), DbError> {
        let called_off = self.db.write(move |tx| sale::abandon(tx, before_s)).await?;
        self.void(called_off).await;
        Ok(())
    }
}
