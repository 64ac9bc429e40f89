//! The store by itself: what a durable commit of a revocation costs without anybody who is told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use propusk_core::audit::Actor;
use propusk_core::env::{Env, SystemClock, SystemRandom};
use propusk_core::id::Jti;
use propusk_core::store::StoreError;
use propusk_core::{log, revocation};
use propusk_store::{SqliteStore, Synchronous};

use crate::data::Data;

/// A store of its own, on the disk of the authority's.
#[derive(Clone)]
pub(crate) struct Bare(Arc<SqliteStore>);

impl Bare {
    pub(crate) async fn open(data: &Data) -> Result<Self> {
        let store = SqliteStore::open(&data.bare_database(), Synchronous::Full)?;
        store.write(|tx| log::raise_limits(tx, env().now, Duration::from_secs(5))).await?;
        Ok(Self(Arc::new(store)))
    }

    /// How long one revocation takes until it is durable: the same writes as the authority's.
    pub(crate) async fn commit(&self) -> Result<Duration> {
        let begun = Instant::now();
        let jti = Jti::generate(&SystemRandom);
        self.0.write(move |tx| revocation::by_jti(tx, env(), &Actor::system(), &jti)).await?;
        Ok(begun.elapsed())
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

pub(crate) fn env() -> Env<'static> {
    Env::new(&SystemClock, &SystemRandom)
}

/// Fills a store with so many revocations that are all alive, in a few large commits.
pub(crate) async fn fill(store: &SqliteStore, count: usize) -> Result<()> {
    // A savepoint in a long job walks along all pages that the job has changed.
    const OF_A_COMMIT: usize = 500;
    let mut left = count;
    while left > 0 {
        let now = left.min(OF_A_COMMIT);
        store
            .write(move |tx| {
                for _ in 0..now {
                    log::append(tx, env(), &log::Change::TokenRevoked(Jti::generate(&SystemRandom)))?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        left -= now;
    }
    Ok(())
}
