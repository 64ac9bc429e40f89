//! Rules of the protocol broken on purpose, one at a time, for the model: each of them has to be noticed.
//!
//! Compiled only with `--cfg propusk_mutants`; the product never is. A mutant is a switch in the shipping code at the
//! very place of its rule.

use std::cell::Cell;

macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A broken rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Mutant {
            $($(#[$doc])+ $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

mutants! {
    /// Lease: counted from the grant's receipt, not from before the request.
    LeaseFromReceipt,
    /// Lease: counted from the newest request, not from the one that the grant answers.
    LeaseFromNewestRequest,
    /// Lease: as long as the clock of the authority says, whatever the drift.
    LeaseWithoutDrift,
    /// Lease: on a clock that stands still while the machine sleeps.
    ClockStopsAsleep,
    /// Lease: the authority records it as of a clock reading from before the request came in.
    RecordedAsOfBeforeReceipt,
    /// Lease: used before the verifier has applied the grant's head.
    UsedBeforeHead,
    /// Lease: the grant carries a head from before the renewal.
    GrantOfOldHead,
    /// Lease: head and record are not taken in one step.
    HeadAndRecordApart,
    /// Lease: the grant is sent before its record is there.
    SentBeforeRecorded,
    /// Lease: a later grant lengthens a wait that began before it.
    LengthensTheWait,
    /// Lease: after a start nobody waits for leases of the run before.
    ForgottenAtStart,
    /// Lease: a closed connection ends the record.
    ForgottenAtDisconnect,
    /// Lease: a grant that arrives after `release` is used.
    GrantAfterRelease,
    /// Lease: two processes use one instance id.
    InstanceShared,
    /// Lease: a restarted process uses its old instance id.
    InstanceKept,
    /// Feed: a batch is taken although events before it are missing.
    GapTaken,
    /// Feed: acknowledged before the events are in the index.
    AckBeforePublish,
    /// Feed: a snapshot replaces the index instead of adding to it.
    OldSnapshotSwappedIn,
    /// Calls: a call that finds nothing to change is answered at once.
    RepeatAnsweredAtOnce,
    /// Calls: roles and epoch are read in two snapshots.
    TwoSnapshots,
    /// Calls: an event's `until` and a token's `exp` come from clocks, not from the ceiling.
    UntilFromClock,
    /// Calls: the verifier believes its own wall clock against the floor.
    NoFloor,
    /// Decision: the clock is read before the index.
    ClockBeforeIndex,
    /// Decision: the lease's end is loaded after the index was read.
    LeaseEndAfterIndex,
    /// Decision: a cached reading of the clock.
    CachedClock,
    /// Decision: the generation is raised before the index has the event.
    GenerationBeforeIndex,
    /// Decision: the generation is raised only after the acknowledgement.
    GenerationAfterAck,
    /// Decision: the generation is never raised.
    GenerationNever,
    /// Decision: a cache entry is stamped with the generation loaded after its lookup.
    StampAfterLookup,
    /// Decision: of the newest events, those that were written over meanwhile are not missed.
    RecentOverwritten,
}

thread_local! {
    static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Breaks one rule on this thread, or none.
pub fn set(mutant: Option<Mutant>) {
    ON.set(mutant);
}

/// Whether this rule is broken on this thread.
pub fn is_on(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}
