//! What may happen in a world, and how often: small worlds, each about one part of the protocol.

use std::time::Duration;

use propusk_verify::feed::Drift;

use super::Goal;
use crate::broken::Mutant;

/// A lease, in units of the authority's clock.
pub(super) const LEASE: Duration = Duration::from_nanos(2);
/// The bound of ordinary endpoints.
pub(super) const MAX_STALENESS: Duration = Duration::from_nanos(4);

/// Half: one clock may run twice as fast as another. A coarse bound shows the same with fewer ticks.
pub(super) fn drift() -> Drift {
    Drift::per_mille(500)
}

/// One world.
#[derive(Debug, Clone)]
pub struct Config {
    /// For people.
    pub name: &'static str,
    /// How often what may happen.
    pub limits: Limits,
    /// What must be possible in it.
    pub goals: &'static [Goal],
    /// The rule that is broken in it.
    pub mutant: Option<Mutant>,
}

/// How often each thing may happen.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many verifiers there are.
    pub verifiers: u8,
    /// Whether the bound of ordinary endpoints is looked at.
    pub bound: bool,
    /// Ticks of time.
    pub ticks: u8,
    /// How far the clocks of one tick go: the authority's, then the verifiers'.
    pub rates: &'static [[u64; 3]],
    /// Position of the log at the start; the verifiers have applied it and are connected.
    pub first_head: u64,
    /// Position at which nothing more is committed.
    pub last_head: u64,
    /// Renewals of each verifier.
    pub renewals: [u8; 2],
    /// Connections that end, seen by the authority.
    pub disconnects: u8,
    /// Starts of the authority after a crash.
    pub authority_restarts: u8,
    /// Starts of each verifier after a crash.
    pub restarts: [u8; 2],
    /// Verifiers that may give their lease back.
    pub releases: [bool; 2],
    /// Batches that a verifier begins to publish, of every beginning and end, snapshots also in two parts; if there are
    /// none, it gets what is next, in one.
    pub any_batches: u8,
    /// Batches are published step by step.
    pub stepped_publication: bool,
    /// Decisions that are taken step by step, by the first verifier.
    pub decisions: u8,
}

const EVEN: [u64; 3] = [1, 1, 1];
const AUTHORITY_FAST: [u64; 3] = [2, 1, 1];
const VERIFIERS_FAST: [u64; 3] = [1, 2, 2];

impl Limits {
    const NONE: Self = Self {
        verifiers: 1,
        bound: false,
        ticks: 0,
        rates: &[EVEN],
        first_head: 1,
        last_head: 2,
        renewals: [0, 0],
        disconnects: 0,
        authority_restarts: 0,
        restarts: [0, 0],
        releases: [false, false],
        any_batches: 0,
        stepped_publication: false,
        decisions: 0,
    };
}

impl Config {
    /// All of them, in the size that a test command has time for.
    pub fn bounded() -> Vec<Self> {
        vec![Self::lease(), Self::restart(), Self::feed(), Self::decision()]
    }

    /// All of them, deeper.
    pub fn full() -> Vec<Self> {
        let deeper = |config: Self, deeper: fn(&mut Limits)| {
            let mut limits = config.limits;
            deeper(&mut limits);
            Self { limits, ..config }
        };
        vec![
            deeper(Self::lease(), |limits| {
                limits.ticks += 1;
                limits.renewals = [2, 2];
                limits.rates = &[EVEN, AUTHORITY_FAST, VERIFIERS_FAST];
            }),
            deeper(Self::restart(), |limits| {
                limits.ticks += 1;
                limits.releases = [true, true];
            }),
            deeper(Self::feed(), |limits| {
                limits.ticks += 1;
                limits.renewals = [2, 0];
                limits.last_head = 4;
            }),
            deeper(Self::decision(), |limits| {
                limits.ticks += 1;
                limits.renewals = [3, 0];
                limits.decisions = 2;
            }),
        ]
    }

    /// Leases of two verifiers on clocks that drift.
    pub fn lease() -> Self {
        let limits = Limits {
            ticks: 3,
            rates: &[EVEN, AUTHORITY_FAST],
            renewals: [2, 1],
            disconnects: 1,
            ..Limits::NONE
        };
        let goals = &[Goal::EnforcedUnderLease, Goal::EnforcedByExpiry, Goal::LeasedAccept];
        Self { name: "lease", limits, goals, mutant: None }
    }

    /// Crashes, starts and releases.
    pub fn restart() -> Self {
        let limits = Limits {
            ticks: 2,
            rates: &[AUTHORITY_FAST],
            renewals: [2, 1],
            authority_restarts: 1,
            restarts: [1, 0],
            releases: [true, false],
            ..Limits::NONE
        };
        let goals = &[Goal::LeasedAgain, Goal::EnforcedAfterStart, Goal::EnforcedByRelease];
        Self { name: "restart", limits, goals, mutant: None }
    }

    /// Batches in any order, snapshots in parts, published step by step.
    pub fn feed() -> Self {
        let limits = Limits {
            ticks: 1,
            first_head: 0,
            last_head: 3,
            renewals: [2, 0],
            any_batches: 4,
            stepped_publication: true,
            ..Limits::NONE
        };
        let goals = &[Goal::EnforcedUnderLease, Goal::LeasedAccept];
        Self { name: "feed", limits, goals, mutant: None }
    }

    /// Decisions whose steps fall between those of publications, leases and releases.
    pub fn decision() -> Self {
        let limits = Limits {
            ticks: 3,
            rates: &[EVEN, AUTHORITY_FAST],
            renewals: [2, 0],
            releases: [true, false],
            stepped_publication: true,
            decisions: 1,
            ..Limits::NONE
        };
        let goals = &[Goal::SteppedAccept, Goal::EnforcedByExpiry, Goal::EnforcedByRelease];
        Self { name: "decision", limits, goals, mutant: None }
    }

    /// The same world with a broken rule.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..self }
    }
}
