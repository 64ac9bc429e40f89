//! A thousand revocations a second: does anybody fall behind, lose a lease, or grow?

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use propusk_core::env::SystemRandom;
use propusk_core::id::Jti;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::Settings;
use super::bare::Bare;
use super::fleet::Fleet;
use crate::child::authority::Authority;
use crate::data::Data;
use crate::process::Usage;
use crate::report::{Figure, Row};
use crate::stats::{Samples, Sorted};

const VERIFIERS: usize = 10;
const PER_SECOND: usize = 1000;
/// Callers of a real system are not endless either.
const MOST_IN_FLIGHT: usize = 512;
/// Memory that may come in a minute of this load, beyond what the first quarter of it took: caches that were not full
/// yet. What grows with the number of revocations would be several times this.
const MOST_GROWTH_MIB: f64 = 8.0;

/// A call that was answered.
struct Call {
    seq: u64,
    sent: Instant,
    took: Duration,
}

pub(crate) async fn measure(settings: &Settings) -> Result<Row> {
    let seconds = if settings.is_quick { 10 } else { 60 };
    let data = Data::new(settings.dir.as_deref())?;
    let bare = bare_commits(&data, seconds.min(10)).await?;
    let authority = Arc::new(Authority::start(&data, settings.lease).await?);
    let fleet = Arc::new(Fleet::start(&authority, VERIFIERS).await?);
    let watch = Watch::start(Arc::clone(&fleet), Arc::clone(&authority));
    let (before, own_before, begun) = (authority.usage()?, Usage::own()?, Instant::now());
    let calls = paced(seconds, |_| {
        let authority = Arc::clone(&authority);
        async move {
            let sent = Instant::now();
            let seq = authority.revoke(Jti::generate(&SystemRandom).as_str()).await?;
            Ok(Call { seq, sent, took: sent.elapsed() })
        }
    })
    .await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let (cpu, own_cpu) = (authority.usage()?.cpu_since(before), Usage::own()?.cpu_since(own_before));
    let seen = watch.stop().await?;
    let row = row(&calls, &seen, &bare, elapsed, [cpu, own_cpu]);
    Arc::into_inner(fleet).context("the verifiers are still watched")?.release().await;
    Arc::into_inner(authority).context("the authority is still called")?.stop().await?;
    Ok(row)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn row(calls: &[Call], seen: &Seen, bare: &Sorted, elapsed: f64, [cpu, own_cpu]: [Duration; 2]) -> Row {
    let mut took = Samples::default();
    calls.iter().for_each(|call| took.push(call.took));
    let (took, lag) = (took.sorted(), seen.lags(calls).sorted());
    let per_core = |cpu: Duration| cpu.as_secs_f64() / elapsed * 100.0;
    let [quarter, end] = seen.memory_mib();
    let note = format!(
        "{PER_SECOND}/s for {elapsed:.0} s over kept connections, each waited for until enforced; lag: from sending the \
         call until a verifier has applied it, for each of the {VERIFIERS}; bare: durable commits at the same rate in \
         a store that nobody follows"
    );
    Row::new(format!("{PER_SECOND} revocations/s, {VERIFIERS} verifiers"), note)
        .with(Figure::new("revocations", "1/s", calls.len() as f64 / elapsed).at_least(PER_SECOND as f64 * 0.99))
        .with(Figure::new("enforced p50", "ms", took.median_ms()).beside(bare.median_ms()))
        .with(Figure::new("enforced p99", "ms", took.percentile_ms(99)).beside(bare.percentile_ms(99)))
        .with(Figure::new("lag p50", "ms", lag.median_ms()).beside(bare.median_ms()))
        .with(Figure::new("lag p99", "ms", lag.percentile_ms(99)).beside(bare.percentile_ms(99)).at_most(250.0))
        .with(Figure::new("moments with a lapsed lease", "", seen.lapses as f64).at_most(0.0))
        .with(Figure::new("least lease left", "ms", seen.least_lease.as_secs_f64() * 1000.0))
        .with(Figure::new("authority's memory after a quarter", "MiB", quarter))
        .with(Figure::new("authority's memory at the end", "MiB", end).at_most(quarter + MOST_GROWTH_MIB))
        .with(Figure::new("authority's processor", "% of a core", per_core(cpu)))
        .with(Figure::new("callers' and verifiers' processor", "% of a core", per_core(own_cpu)))
}

async fn bare_commits(data: &Data, seconds: usize) -> Result<Sorted> {
    let bare = Bare::open(data).await?;
    let took = paced(seconds, |_| {
        let bare = bare.clone();
        async move { bare.commit().await }
    })
    .await?;
    bare.close().await;
    let mut samples = Samples::default();
    took.into_iter().for_each(|took| samples.push(took));
    Ok(samples.sorted())
}

/// Starts a call each millisecond, whether those before are answered or not.
async fn paced<T, F>(seconds: usize, call: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let in_flight = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(PER_SECOND)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    let mut answers = Vec::new();
    for number in 0..seconds * PER_SECOND {
        ticks.tick().await;
        let permit = Arc::clone(&in_flight).acquire_owned().await?;
        let call = call(number);
        calls.spawn(async move {
            let answer = call.await;
            drop(permit);
            answer
        });
        while let Some(answer) = calls.try_join_next() {
            answers.push(answer??);
        }
    }
    while let Some(answer) = calls.join_next().await {
        answers.push(answer??);
    }
    Ok(answers)
}

/// Looks at every verifier each millisecond, and at the authority's memory each half second.
struct Watch {
    stop: oneshot::Sender<()>,
    seen: JoinHandle<Result<Seen>>,
}

/// What was seen.
struct Seen {
    /// For each verifier, when it was first seen to have applied how much.
    applied: Vec<Vec<(Instant, u64)>>,
    lapses: usize,
    least_lease: Duration,
    /// The authority's resident memory, in bytes.
    memory: Vec<u64>,
}

impl Watch {
    fn start(fleet: Arc<Fleet>, authority: Arc<Authority>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let seen = tokio::spawn(async move {
            let mut seen = Seen::nothing(fleet.len());
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            for tick in 0_u64.. {
                tokio::select! {
                    _ = &mut stopped => break,
                    _ = ticks.tick() => seen.look(&fleet),
                }
                if tick % 500 == 0 {
                    seen.memory.push(authority.usage()?.resident);
                }
            }
            seen.look(&fleet);
            Ok(seen)
        });
        Self { stop, seen }
    }

    async fn stop(self) -> Result<Seen> {
        let _ = self.stop.send(());
        self.seen.await?
    }
}

impl Seen {
    fn nothing(verifiers: usize) -> Self {
        Self { applied: vec![Vec::new(); verifiers], lapses: 0, least_lease: Duration::MAX, memory: Vec::new() }
    }

    fn look(&mut self, fleet: &Fleet) {
        for (view, known) in fleet.views().zip(&mut self.applied) {
            let applied = view.applied();
            if known.last().is_none_or(|(_, last)| *last < applied) {
                known.push((Instant::now(), applied));
            }
        }
        let left = fleet.least_lease_left();
        self.lapses += usize::from(left.is_zero());
        self.least_lease = self.least_lease.min(left);
    }

    /// For each call and verifier, how long after it was sent it was applied there.
    fn lags(&self, calls: &[Call]) -> Samples {
        let mut lags = Samples::default();
        for known in &self.applied {
            for call in calls {
                let first = known.partition_point(|(_, applied)| *applied < call.seq);
                // One that never came was never seen: as late as can be.
                let at = known.get(first).map(|(at, _)| at.duration_since(call.sent));
                lags.push(at.unwrap_or(Duration::MAX));
            }
        }
        lags
    }

    /// After a quarter of the time, and at the end.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a process are far below 2^52")]
    fn memory_mib(&self) -> [f64; 2] {
        let at = |index: usize| self.memory.get(index).copied().unwrap_or_default() as f64 / f64::from(1 << 20);
        [at(self.memory.len() / 4), at(self.memory.len().saturating_sub(1))]
    }
}
