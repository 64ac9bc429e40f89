//! How long a revocation takes until no verifier accepts the token any more.

use std::time::{Duration, Instant};

use anyhow::Result;
use propusk_core::env::SystemRandom;
use propusk_core::id::Jti;

use super::Settings;
use super::bare::Bare;
use super::fleet::Fleet;
use crate::child::authority::Authority;
use crate::data::Data;
use crate::report::{Figure, Row};
use crate::stats::Samples;

/// The first calls make connections and prepare statements.
const WARM_UP: usize = 50;

/// One row: so many verifiers, and so many milliseconds more than the bare commit at the 99th percentile.
pub(crate) async fn measure(settings: &Settings, verifiers: usize, more_ms: f64) -> Result<Row> {
    let data = Data::new(settings.dir.as_deref())?;
    let authority = Authority::start(&data, settings.lease).await?;
    let bare = Bare::open(&data).await?;
    let fleet = Fleet::start(&authority, verifiers).await?;
    let rounds = if settings.is_quick { 300 } else { 2000 };
    let (mut commits, mut revocations) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + rounds {
        // In turn, so that whatever else the disk and the machine do is in both.
        let (commit, revocation) = (bare.commit().await?, one(&authority).await?);
        if round >= WARM_UP {
            commits.push(commit);
            revocations.push(revocation);
        }
    }
    fleet.release().await;
    bare.close().await;
    authority.stop().await?;
    let (commits, revocations) = (commits.sorted(), revocations.sorted());
    let note = format!(
        "{rounds} × POST /admin/v1/tokens/revoke over a kept connection, until it answers enforced; \
         bare: the same writes, durable, in a store that nobody follows"
    );
    let figure = |name, percent| {
        Figure::new(name, "ms", revocations.percentile_ms(percent)).beside(commits.percentile_ms(percent))
    };
    Ok(Row::new(format!("revoke → enforced, {verifiers} verifiers"), note)
        .with(figure("p50", 50))
        .with(figure("p90", 90))
        .with(figure("p99", 99).at_most(commits.percentile_ms(99) + more_ms)))
}

async fn one(authority: &Authority) -> Result<Duration> {
    let jti = Jti::generate(&SystemRandom);
    let begun = Instant::now();
    authority.revoke(jti.as_str()).await?;
    Ok(begun.elapsed())
}
