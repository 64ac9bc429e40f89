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
    /// Messages come once or never, and calls wait as soon as they have committed; otherwise messages repeat, too, and
    /// calls begin to wait at any time.
    pub plain: bool,
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
        rates: &[AUTHORITY_FAST],
        plain: true,
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
        vec![
            Self::lease(),
            Self::bound(),
            Self::pair(),
            Self::restart(),
            Self::release(),
            Self::feed(),
            Self::decision(),
            Self::stamp(),
        ]
    }

    /// All of them, deeper.
    pub fn full() -> Vec<Self> {
        let mut full = Self::bounded();
        for Self { name, limits, .. } in &mut full {
            match *name {
                "lease" => limits.rates = &[EVEN, AUTHORITY_FAST],
                "bound" => (limits.ticks, limits.rates) = (5, &[EVEN, AUTHORITY_FAST, VERIFIERS_FAST]),
                "pair" => limits.renewals = [2, 2],
                "restart" => limits.releases = [true, false],
                "release" => limits.ticks = 2,
                "feed" => limits.any_batches += 1,
                "decision" => limits.rates = &[EVEN, AUTHORITY_FAST],
                _ => limits.decisions += 1,
            }
        }
        full
    }

    /// The lease of one verifier on clocks that drift.
    pub fn lease() -> Self {
        let limits = Limits { ticks: 3, plain: false, renewals: [2, 0], disconnects: 1, ..Limits::NONE };
        let goals = &[Goal::EnforcedUnderLease, Goal::EnforcedByExpiry, Goal::LeasedAccept];
        Self { name: "lease", limits, goals, mutant: None }
    }

    /// The bound of ordinary endpoints.
    pub fn bound() -> Self {
        let limits = Limits { ticks: 4, rates: &[EVEN, AUTHORITY_FAST], bound: true, renewals: [2, 0], ..Limits::NONE };
        Self { name: "bound", limits, goals: &[Goal::FreshAccept], mutant: None }
    }

    /// Two verifiers.
    pub fn pair() -> Self {
        let limits = Limits { verifiers: 2, ticks: 2, renewals: [2, 1], ..Limits::NONE };
        let goals = &[Goal::EnforcedUnderLease, Goal::EnforcedByExpiry, Goal::LeasedAccept];
        Self { name: "pair", limits, goals, mutant: None }
    }

    /// Crashes and starts.
    pub fn restart() -> Self {
        let limits = Limits { ticks: 2, renewals: [2, 0], authority_restarts: 1, restarts: [1, 0], ..Limits::NONE };
        let goals = &[Goal::LeasedAgain, Goal::EnforcedAfterStart];
        Self { name: "restart", limits, goals, mutant: None }
    }

    /// Leases that are given back.
    pub fn release() -> Self {
        let limits = Limits { ticks: 1, plain: false, renewals: [2, 0], releases: [true, false], ..Limits::NONE };
        Self { name: "release", limits, goals: &[Goal::EnforcedByRelease], mutant: None }
    }

    /// Batches in any order, snapshots in parts, published step by step.
    pub fn feed() -> Self {
        let limits = Limits {
            ticks: 1,
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
            ticks: 2,
            renewals: [2, 0],
            releases: [true, false],
            stepped_publication: true,
            decisions: 1,
            ..Limits::NONE
        };
        let goals = &[Goal::SteppedAccept, Goal::EnforcedByExpiry, Goal::EnforcedByRelease];
        Self { name: "decision", limits, goals, mutant: None }
    }

    /// Two decisions about one token, of which the second may find the stamp of the first.
    pub fn stamp() -> Self {
        let limits = Limits {
            ticks: 1,
            last_head: 3,
            renewals: [1, 0],
            stepped_publication: true,
            decisions: 2,
            ..Limits::NONE
        };
        let goals = &[Goal::SteppedAccept, Goal::EnforcedUnderLease];
        Self { name: "stamp", limits, goals, mutant: None }
    }

    /// The same world with a broken rule.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..self }
    }
}
