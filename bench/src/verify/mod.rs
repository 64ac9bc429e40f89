//! The hot path: what one decision costs, beside the least that it could cost.
//!
//! Everything runs in one process. A round measures each candidate once, in turn; what is told is the median of the
//! rounds and the median of the ratios, so that a machine that changes its speed changes both sides.

mod rows;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use propusk_verify::cache::CacheLimits;
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, PolicyTable, View};
use propusk_verify::{Demand, Verifier};
use serde::Serialize;

use tokens::{AUDIENCE, ISSUER, Signer};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Rounds of each row.
    pub(crate) rounds: usize,
    /// How long one candidate runs in a round.
    pub(crate) slice: Duration,
    /// The largest number of live tokens and of live revocations.
    pub(crate) many: usize,
}

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Nanoseconds, medians.
    pub(crate) ours_ns: f64,
    pub(crate) beside: String,
    pub(crate) beside_ns: f64,
    /// Median of the rounds' ratios: ours ÷ beside.
    pub(crate) ratio: f64,
    pub(crate) to_reach: String,
    pub(crate) reached: bool,
}

/// Runs every row, prints the table and writes it as JSON.
pub(crate) fn run(size: Size, json: Option<&Path>) -> std::io::Result<()> {
    let rows = rows::all(size);
    println!("{:<66} {:>10} {:>10} {:>8}  to reach", "what", "ours ns", "beside ns", "ratio");
    for row in &rows {
        let mark = if row.reached { "✓" } else { "✗" };
        println!(
            "{:<66} {:>10.1} {:>10.1} {:>8.3}  {mark} {} (beside: {})",
            row.what, row.ours_ns, row.beside_ns, row.ratio, row.to_reach, row.beside
        );
    }
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

/// A candidate: runs `n` operations.
type Candidate<'a> = &'a mut dyn FnMut(usize);

/// Medians of both and of their ratio, in nanoseconds an operation.
pub(crate) fn pair(size: Size, ours: Candidate<'_>, beside: Candidate<'_>) -> (f64, f64, f64) {
    let (count_ours, count_beside) = (operations(size, ours), operations(size, beside));
    let mut results: Vec<(f64, f64)> = Vec::with_capacity(size.rounds);
    for round in 0..size.rounds {
        let (mut a, mut b) = (0.0, 0.0);
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                a = time(ours, count_ours);
            } else {
                b = time(beside, count_beside);
            }
        }
        results.push((a, b));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (
        median(results.iter().map(|(a, _)| *a).collect()),
        median(results.iter().map(|(_, b)| *b).collect()),
        median(results.iter().map(|(a, b)| a / b).collect()),
    )
}

fn operations(size: Size, candidate: Candidate<'_>) -> usize {
    let mut count = 16;
    loop {
        let took = time(candidate, count) * count as f64;
        if took > size.slice.as_nanos() as f64 / 4.0 {
            let scale = size.slice.as_nanos() as f64 / took;
            return ((count as f64 * scale) as usize).max(16);
        }
        count *= 4;
    }
}

fn time(candidate: Candidate<'_>, count: usize) -> f64 {
    let started = Instant::now();
    candidate(count);
    started.elapsed().as_nanos() as f64 / count as f64
}

/// A verifier with a view that stays fresh and leased while it is measured.
pub(crate) struct Bench {
    pub(crate) view: Arc<View>,
    pub(crate) verifier: Verifier,
    follower: Follower,
}

const LONG: Duration = Duration::from_secs(4 * 3600);

impl Bench {
    pub(crate) fn new(signer: &Signer, limits: CacheLimits) -> Self {
        let view = Arc::new(View::new([AUDIENCE]));
        let mut follower = Follower::new(Instance::draw(), Drift::default());
        let until = SystemClock.unix_seconds() + 7200;
        let ring = Change::KeysChanged { aud: AUDIENCE.to_owned(), ring: Arc::new(signer.ring()) };
        let table = PolicyTable([("buyer".to_owned(), vec!["cars:buy".to_owned()])].into());
        let policy = Change::PolicyChanged { aud: AUDIENCE.to_owned(), table: Arc::new(table) };
        let events = [ring, policy].map(|change| Event { seq: 1000, until, change }).to_vec();
        let renewal = follower.renew(SystemClock.moment());
        follower.batch(&view, Batch { from: 0, to: 1000, floor: 1, events, part: 0, last: true });
        let grant = Grant { n: renewal.n, head: 1000, lease: LONG, age: Duration::ZERO, floor: 1 };
        follower.grant(&view, grant, SystemClock.moment());
        let verifier = Verifier::builder()
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .view(Arc::clone(&view))
            .max_staleness(LONG)
            .cache(limits)
            .build();
        Self { view, verifier, follower }
    }

    /// Publishes revocations of tokens that nobody has.
    pub(crate) fn revoke(&mut self, count: usize) {
        let until = SystemClock.unix_seconds() + 7200;
        let from = self.view.applied();
        let event = |seq: u64| Event { seq, until, change: Change::TokenRevoked(format!("t_nobodys_{seq}")) };
        let to = from + count as u64;
        let events = (from + 1..=to).map(event).collect();
        self.follower.batch(&self.view, Batch { from, to, floor: 1, events, part: 0, last: true });
    }

    /// Verifies each token once.
    pub(crate) fn warm(&self, tokens: &[String]) {
        let demand = Demand::ordinary();
        eprintln!("{:?}", self.verifier.cache_stats());
        for token in tokens {
            let decided = futures_util::FutureExt::now_or_never(self.verifier.decide(token, &demand));
            assert!(decided.is_some_and(|decided| decided.is_ok()), "a good token is let in");
        }
        eprintln!("{:?}", self.verifier.cache_stats());
    }
}
