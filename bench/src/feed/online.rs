//! Elite decisions without a lease: each one asks the authority.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use propusk_core::log;
use propusk_core::store::StoreError;
use propusk_store::{SqliteStore, Synchronous};
use propusk_verify::check::{CheckItem, CheckVerdict};
use propusk_verify::decision::{By, Demand, Permit};
use propusk_verify::{RawToken, Verifier};

use super::Settings;
use super::fleet::{ready, start_one};
use crate::child::authority::{Authority, ISSUER};
use crate::data::Data;
use crate::process::Usage;
use crate::report::{Figure, Row};
use crate::stats::Samples;

const CONCURRENT: usize = 64;
const AUDIENCE: &str = "cars";
const PERMISSION: &str = "cars:buy";
/// What is to be reached, a second and core.
const GOAL: f64 = 20_000.0;

/// What one caller in a loop saw.
struct Seen {
    took: Samples,
    last: Permit,
}

pub(crate) async fn measure(settings: &Settings) -> Result<Row> {
    let data = Data::new(settings.dir.as_deref())?;
    // No lease is granted: every elite decision is made online.
    let authority = Authority::start(&data, Duration::ZERO).await?;
    let mut tokens = Vec::new();
    for number in 0..CONCURRENT {
        tokens.push(RawToken::new(authority.token_of_new_buyer(&format!("buyer{number}")).await?));
    }
    let feed = start_one(&authority, AUDIENCE)?;
    ready(&feed).await?;
    let verifier = Verifier::builder().issuer(ISSUER).audience(AUDIENCE).feed(&feed).build();
    run_all(&verifier, &tokens, Duration::from_secs(1)).await?;
    let duration = Duration::from_secs(if settings.is_quick { 5 } else { 20 });
    let (before, own_before, begun) = (authority.usage()?, Usage::own()?, Instant::now());
    let seen = run_all(&verifier, &tokens, duration).await?;
    let elapsed = begun.elapsed();
    let (cpu, own_cpu) = (authority.usage()?.cpu_since(before), Usage::own()?.cpu_since(own_before));
    feed.release().await;
    authority.stop().await?;
    let items: Vec<CheckItem> = seen.iter().map(|seen| item_of(&seen.last)).collect();
    let bare = judged_per_core_second(&data, items, duration / 4).await?;
    let mut took = Samples::default();
    seen.into_iter().for_each(|seen| took.extend(seen.took));
    Ok(row(took, bare, elapsed, [cpu, own_cpu]))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn row(took: Samples, bare: f64, elapsed: Duration, [cpu, own_cpu]: [Duration; 2]) -> Row {
    let count = took.len() as f64;
    let took = took.sorted();
    let note = format!(
        "{CONCURRENT} callers of one verifier, each with a person's token and a permission, over one connection, no \
         lease; bare: the same items judged by SQLite alone, all {CONCURRENT} in one snapshot"
    );
    Row::new(format!("elite online, {CONCURRENT} concurrent"), note)
        .with(Figure::new("decisions", "1/s", count / elapsed.as_secs_f64()))
        .with(Figure::new("per core of the authority", "1/s", count / cpu.as_secs_f64()).beside(bare).at_least(GOAL))
        .with(Figure::new("per core of the verifier", "1/s", count / own_cpu.as_secs_f64()).at_least(GOAL))
        .with(Figure::new("per core of both", "1/s", count / (cpu + own_cpu).as_secs_f64()))
        .with(Figure::new("p50", "ms", took.median_ms()))
        .with(Figure::new("p99", "ms", took.percentile_ms(99)))
}

/// Each token in a loop of its own.
async fn run_all(verifier: &Verifier, tokens: &[RawToken], duration: Duration) -> Result<Vec<Seen>> {
    let end = Instant::now() + duration;
    let callers: Vec<_> =
        tokens.iter().map(|token| tokio::spawn(run_one(verifier.clone(), token.clone(), end))).collect();
    let mut seen = Vec::new();
    for caller in callers {
        seen.push(caller.await??);
    }
    Ok(seen)
}

async fn run_one(verifier: Verifier, token: RawToken, end: Instant) -> Result<Seen> {
    let demand = Demand::elite().permission(PERMISSION);
    let mut took = Samples::default();
    let mut begun = Instant::now();
    loop {
        let permit = verifier.decide(&token, &demand).await?;
        if permit.report().by != By::Online {
            bail!("a decision was not made online: {}", permit.report());
        }
        let now = Instant::now();
        took.push(now - begun);
        begun = now;
        if now >= end {
            return Ok(Seen { took, last: permit });
        }
    }
}

fn item_of(permit: &Permit) -> CheckItem {
    let claims = permit.claims();
    CheckItem {
        aud: claims.aud.clone(),
        jti: claims.jti.clone(),
        sid: claims.sid.clone(),
        sub: claims.sub.clone(),
        client_id: claims.client_id.clone(),
        actors: claims.actors().map(str::to_owned).collect(),
        epoch: claims.epoch,
        kid: permit.kid().to_owned(),
    }
}

/// How many items SQLite judges in a second of one core, without any network.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
async fn judged_per_core_second(data: &Data, items: Vec<CheckItem>, duration: Duration) -> Result<f64> {
    let store = SqliteStore::open(&data.database(), Synchronous::Full)?;
    let items = Arc::new(items);
    let (before, begun) = (Usage::own()?, Instant::now());
    let mut judged = 0_usize;
    while begun.elapsed() < duration {
        let items = Arc::clone(&items);
        let read = store.read(move |tx| items.iter().map(|item| log::judge(tx, item)).collect::<Result<Vec<_>, _>>());
        let verdicts: Result<Vec<CheckVerdict>, StoreError> = read.await;
        let all_good = verdicts?.iter().all(|verdict| matches!(verdict, CheckVerdict::Good { .. }));
        all_good.then_some(()).context("a token of the benchmark is not good")?;
        judged += CONCURRENT;
    }
    let cpu = Usage::own()?.cpu_since(before);
    store.close().await;
    Ok(judged as f64 / cpu.as_secs_f64())
}
