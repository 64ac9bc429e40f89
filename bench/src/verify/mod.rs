//! The hot path: what one decision costs, beside the least that it could cost.
//!
//! Everything runs in one process. A round measures each candidate once, in turn; what is told is the median of the
//! rounds and the median of the ratios, so that a machine that changes its speed changes both sides.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up ends by panicking"
)]

mod layer;
mod rows;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use propusk_verify::cache::CacheLimits;
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, PolicyTable, View};
use propusk_verify::{Demand, Verifier};

use crate::process::cores;
use crate::report::Report;
use crate::stats::median;
use tokens::{AUDIENCE, ISSUER, Signer};

/// How `bench verify` is asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A tenth of the tokens and revocations, and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Write the results here as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Rounds of each row.
    pub(super) rounds: usize,
    /// How long one candidate runs in a round.
    pub(super) slice: Duration,
    /// The largest number of live tokens and of live revocations.
    pub(super) many: usize,
}

/// Runs every row; whether every number was reached.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let size = if arguments.quick {
        Size { rounds: 11, slice: Duration::from_millis(10), many: 100_000 }
    } else {
        Size { rounds: 31, slice: Duration::from_millis(30), many: 1_000_000 }
    };
    let mut rows = rows::all(size);
    rows.push(layer::row(size));
    let report = Report { benchmark: "verify", is_quick: arguments.quick, cores: cores(), rows };
    report.publish(arguments.json.as_deref())?;
    Ok(report.is_met())
}

/// What two candidates took: nanoseconds an operation, medians of the rounds, and the median of their ratios.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) ours: f64,
    pub(super) bare: f64,
    pub(super) ratio: f64,
}

/// A candidate: runs `n` operations.
type Candidate<'a> = &'a mut dyn FnMut(usize);

pub(super) fn pair(size: Size, ours: Candidate<'_>, bare: Candidate<'_>) -> Pair {
    let (count_ours, count_bare) = (operations(size, ours), operations(size, bare));
    let mut results: Vec<(f64, f64)> = Vec::with_capacity(size.rounds);
    for round in 0..size.rounds {
        let (mut a, mut b) = (0.0, 0.0);
        for first in [round % 2 == 0, round % 2 != 0] {
            if first {
                a = time(ours, count_ours);
            } else {
                b = time(bare, count_bare);
            }
        }
        results.push((a, b));
    }
    Pair {
        ours: median(results.iter().map(|(ours, _)| *ours).collect()),
        bare: median(results.iter().map(|(_, bare)| *bare).collect()),
        ratio: median(results.iter().map(|(ours, bare)| ours / bare).collect()),
    }
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
pub(super) struct Bench {
    pub(super) view: Arc<View>,
    pub(super) verifier: Verifier,
    follower: Follower,
}

const LONG: Duration = Duration::from_secs(4 * 3600);

impl Bench {
    fn new(signer: &Signer, limits: CacheLimits) -> Self {
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
    pub(super) fn revoke(&mut self, count: usize) {
        let until = SystemClock.unix_seconds() + 7200;
        let from = self.view.applied();
        let event = |seq: u64| Event { seq, until, change: Change::TokenRevoked(format!("t_nobodys_{seq}")) };
        let to = from + count as u64;
        let events = (from + 1..=to).map(event).collect();
        self.follower.batch(&self.view, Batch { from, to, floor: 1, events, part: 0, last: true });
    }

    /// Verifies each token once.
    pub(super) fn warm(&self, tokens: &[String]) {
        let demand = Demand::ordinary();
        for token in tokens {
            let decided = futures_util::FutureExt::now_or_never(self.verifier.decide(token, &demand));
            assert!(decided.is_some_and(|decided| decided.is_ok()), "a good token is let in");
        }
    }
}
