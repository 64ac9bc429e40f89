//! One decision from memory: three steps in an order that nothing may change.
//!
//! A decision takes effect at its look into the index. The lease's end is loaded before it and the clock read after it:
//! if the lease still ran after the look, it ran during the look, and a revocation that was called enforced before is
//! in the index that was looked at. The end is loaded once more after the look, for a lease can be given back.

use std::time::Duration;

use super::follower::Drift;
use super::view::{Judgement, TokenKeys, View};
use crate::clock::Moment;
use crate::mutant;

/// What is asked of memory.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The token.
    pub token: &'a TokenKeys,
    /// The roles that it names.
    pub roles: &'a [String],
    /// A permission that one of them has to give.
    pub permission: Option<&'a str>,
}

/// What memory says, and how good that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// What the index says.
    pub judgement: Judgement,
    /// Whether the roles give the permission; true if none was asked for.
    pub permitted: bool,
    /// How good the answer is.
    pub standing: Standing,
}

/// How good an answer from memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// A lease ran during the look-up: as good as asking.
    pub is_leased: bool,
    /// Everything that was committed up to this long ago was considered.
    pub age: Duration,
    /// Everything in the log up to here was considered.
    pub as_of_seq: u64,
    /// Whether anything is known of the log at all.
    pub is_known: bool,
}

impl Standing {
    /// Whether the view is young enough for an ordinary endpoint.
    pub fn is_fresh(&self, max_staleness: Duration, drift: Drift) -> bool {
        self.is_known && self.age <= drift.shorten(max_staleness)
    }
}

/// The steps of one decision. Each may happen at its own time; the order is fixed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EndpointDecision {
    next: usize,
    lease_end: Moment,
    fresh_as_of: Moment,
    applied: u64,
    found: Option<(Judgement, bool)>,
    now: Moment,
}

#[derive(Clone, Copy)]
enum Step {
    /// Lease, freshness and place in the log.
    Bounds,
    /// Index and policy table.
    Look,
    /// The clock, read by this very decision.
    Clock,
}

impl EndpointDecision {
    /// Runs all steps. `clock` is read by this very decision.
    #[inline]
    pub fn run(view: &View, question: Question<'_>, clock: impl Fn() -> Moment) -> Outcome {
        let mut decision = Self::default();
        loop {
            if let Some(outcome) = decision.step(view, question, &clock) {
                return outcome;
            }
        }
    }

    /// Takes the next step; the outcome after the last.
    pub fn step(&mut self, view: &View, question: Question<'_>, clock: impl FnOnce() -> Moment) -> Option<Outcome> {
        let order = if mutant!(ClockBeforeIndex) {
            [Step::Bounds, Step::Clock, Step::Look]
        } else if mutant!(LeaseEndAfterIndex) {
            [Step::Look, Step::Bounds, Step::Clock]
        } else if mutant!(CachedClock) {
            [Step::Clock, Step::Bounds, Step::Look]
        } else {
            [Step::Bounds, Step::Look, Step::Clock]
        };
        match order.get(self.next) {
            Some(Step::Bounds) => {
                self.lease_end = view.lease_end();
                self.fresh_as_of = view.fresh_as_of();
                self.applied = view.applied();
            }
            Some(Step::Look) => self.found = Some(look(view, question)),
            Some(Step::Clock) => {
                // It only ever grows, unless the lease was given back: then nobody waits for this process any more.
                self.lease_end = self.lease_end.min(view.lease_end());
                self.now = clock();
            }
            None => {}
        }
        self.next += 1;
        if self.next < order.len() { None } else { self.outcome() }
    }

    fn outcome(&self) -> Option<Outcome> {
        let (judgement, permitted) = self.found?;
        let standing = Standing {
            is_leased: self.now < self.lease_end,
            age: self.now.since(self.fresh_as_of),
            as_of_seq: self.applied,
            is_known: self.fresh_as_of > Moment::BEGINNING,
        };
        Some(Outcome { judgement, permitted, standing })
    }
}

fn look(view: &View, question: Question<'_>) -> (Judgement, bool) {
    let judgement = view.judge(question.token);
    let permitted = question.permission.is_none_or(|wanted| {
        view.policy(question.token.audience()).is_some_and(|table| table.permits(question.roles, wanted))
    });
    (judgement, permitted)
}
