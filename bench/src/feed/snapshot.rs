//! The start of a verifier while a million revocations are alive.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use propusk_core::log;
use propusk_store::{SqliteStore, Synchronous};

use super::Settings;
use super::bare::{env, fill};
use super::fleet::{ready, start_one};
use crate::child::authority::Authority;
use crate::data::Data;
use crate::process::Usage;
use crate::report::{Figure, Row, say};
use crate::stats::{Samples, Sorted};

const LIVE: usize = 1_000_000;
const STARTS: usize = 5;

#[expect(clippy::cast_precision_loss, reason = "bytes of a process are far below 2^52")]
pub(crate) async fn measure(settings: &Settings) -> Result<Row> {
    let data = Data::new(settings.dir.as_deref())?;
    let secrets = Authority::start(&data, settings.lease).await?.stop().await?;
    say("  filling the log …");
    // How it is filled is not measured.
    let store = SqliteStore::open(&data.database(), Synchronous::Off)?;
    store.write(|tx| log::raise_limits(tx, env().now, Duration::from_secs(5))).await?;
    fill(&store, LIVE).await?;
    let bare = read_through(&store).await?;
    store.close().await;
    say("  starting verifiers …");
    let authority = Authority::start_again(&data, settings.lease, secrets).await?;
    let (mut took, mut grown) = (Samples::default(), Vec::new());
    let (mut cpu, mut own_cpu) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..STARTS {
        let (before, own_before) = (authority.usage()?, Usage::own()?);
        let begun = Instant::now();
        let feed = start_one(&authority, "cars")?;
        ready(&feed).await?;
        took.push(begun.elapsed());
        let own = Usage::own()?;
        cpu += authority.usage()?.cpu_since(before);
        own_cpu += own.cpu_since(own_before);
        grown.push(own.resident.saturating_sub(own_before.resident));
        if feed.view().len() < LIVE {
            bail!("a verifier has {} events of {LIVE}", feed.view().len());
        }
        feed.release().await;
    }
    let memory = authority.usage()?.resident;
    authority.stop().await?;
    let each = |cpu: Duration| cpu.as_secs_f64() / STARTS as f64;
    let first = grown.first().copied().unwrap_or_default();
    let note = format!(
        "{STARTS} starts, one after the other, from nothing to ready; bare: the same rows read from SQLite, in the \
         same parts, and thrown away"
    );
    let (took, mib) = (took.sorted(), f64::from(1 << 20));
    Ok(Row::new(format!("a verifier's start with {LIVE} live revocations"), note)
        .with(Figure::new("median", "s", took.median_ms() / 1000.0).beside(bare.median_ms() / 1000.0).at_most(2.0))
        .with(Figure::new("longest", "s", took.percentile_ms(100) / 1000.0))
        .with(Figure::new("authority's processor for each", "s", each(cpu)))
        .with(Figure::new("verifier's processor for each", "s", each(own_cpu)))
        .with(Figure::new("verifier's memory for the first", "MiB", first as f64 / mib))
        .with(Figure::new("authority's memory after all", "MiB", memory as f64 / mib)))
}

/// How long all rows take to be read, in parts of the size that a snapshot has.
async fn read_through(store: &SqliteStore) -> Result<Sorted> {
    const OF_A_PART: usize = 8 * 1024;
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut after = 0;
        loop {
            let rows = store.read(move |tx| tx.events_after(after, OF_A_PART)).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
        }
        samples.push(begun.elapsed());
    }
    Ok(samples.sorted())
}
