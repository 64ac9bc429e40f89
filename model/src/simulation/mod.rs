//! A seeded simulation of the shipping machines at their real sizes: many verifiers, random faults, thousands of runs.
//!
//! Where the models go through every order of few steps, this goes at random through many: leases of 3 s that are
//! renewed each second, clocks that are slewed by up to a tenth either way, messages that take their time or never
//! come, processes that are frozen, crash and are started again. Its seed is all that a run depends on.

mod clock;
mod network;
mod run;
mod verifier;

use std::fmt;

pub use self::run::run;

/// What happened in a run, or in many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Runs.
    pub runs: u64,
    /// Decisions.
    pub decisions: u64,
    /// Decisions that let a token in by a lease.
    pub let_in_by_lease: u64,
    /// Decisions that let one in by a view that was young enough.
    pub let_in_by_age: u64,
    /// Decisions that found a revoked token.
    pub refused: u64,
    /// Revocations.
    pub revoked: u64,
    /// Those that were enforced while somebody had not acknowledged.
    pub enforced_by_expiry: u64,
    /// Those that were enforced.
    pub enforced: u64,
    /// Processes that were started again.
    pub restarts: u64,
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed that repeats it.
    pub seed: u64,
    /// What was promised.
    pub what: String,
}

/// Runs with the seeds from 0 on; the first failure. The summary is for people.
///
/// # Errors
/// [`Failure`]
pub fn run_all(runs: u64) -> Result<String, Failure> {
    let mut all = Told::default();
    for seed in 0..runs {
        all.add(run(seed)?);
    }
    let happened = [all.let_in_by_lease, all.let_in_by_age, all.refused, all.enforced_by_expiry, all.restarts];
    if happened.contains(&0) {
        return Err(Failure { seed: 0, what: format!("a simulation in which nothing happens shows nothing: {all}") });
    }
    Ok(all.to_string())
}

impl Told {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.decisions += other.decisions;
        self.let_in_by_lease += other.let_in_by_lease;
        self.let_in_by_age += other.let_in_by_age;
        self.refused += other.refused;
        self.revoked += other.revoked;
        self.enforced_by_expiry += other.enforced_by_expiry;
        self.enforced += other.enforced;
        self.restarts += other.restarts;
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, decisions, let_in_by_lease, let_in_by_age, refused, .. } = self;
        let Self { revoked, enforced_by_expiry, enforced, restarts, .. } = self;
        write!(
            f,
            "{runs} runs, {decisions} decisions ({let_in_by_lease} let in by lease, {let_in_by_age} by age, {refused} \
             refused), {revoked} revocations ({enforced} enforced, {enforced_by_expiry} of them by expiry), {restarts} \
             restarts"
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}
