//! One decision from memory: three steps in an order that nothing may change.
//!
//! A decision takes effect at its look into the index. The lease's end is loaded before it and the clock read after it:
//! if the lease still ran after the look, it ran during the look, and a revocation that was called enforced before is
//! in the index that was looked at. The end is loaded once more after the look, for a lease can be given back.

use super::view::{Judgement, TokenKeys, View};
use crate::clock::Moment;
use crate::mutant;
use crate::sync::{AtomicU64, Ordering};

/// What is asked of memory.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The token.
    pub token: &'a TokenKeys,
    /// The roles that it names. Not a slice: to make one, memory is read that most decisions do not need.
    pub roles: &'a Vec<String>,
    /// A permission that one of them has to give.
    pub permission: Option<&'a str>,
    /// Where it is kept how far the token was found good before.
    pub stamp: Option<&'a Stamp>,
}

impl<'a> Question<'a> {
    /// Whether a token is good, without a permission.
    pub fn about(token: &'a TokenKeys, stamp: Option<&'a Stamp>) -> Self {
        static NO_ROLES: Vec<String> = Vec::new();
        Self { token, roles: &NO_ROLES, permission: None, stamp }
    }
}

/// The generation of the view that a token was last found good in. While there is no newer one, or nothing in the newer
/// ones concerns it, it would be found good again.
#[derive(Debug)]
pub struct Stamp(AtomicU64);

impl Default for Stamp {
    /// Never found good.
    fn default() -> Self {
        Self::of(u64::MAX)
    }
}

impl Stamp {
    /// Found good in this generation.
    pub fn of(generation: u64) -> Self {
        Self(AtomicU64::new(generation))
    }

    /// The generation.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, generation: u64) {
        self.0.store(generation, Ordering::Release);
    }
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
    /// Everything that was committed up to this many nanoseconds ago was considered.
    pub age_ns: u64,
    /// Everything in the log up to here was considered.
    pub as_of_seq: u64,
    /// Whether anything is known of the log at all.
    pub is_known: bool,
}

impl Standing {
    /// Whether the view is young enough for an ordinary endpoint: at most so many nanoseconds, which were shortened by the
    /// drift.
    pub fn is_fresh(&self, bound_ns: u64) -> bool {
        self.is_known && self.age_ns <= bound_ns
    }
}

/// The steps of one decision. Each may happen at its own time; the order is fixed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EndpointDecision {
    next: usize,
    lease_end: Moment,
    fresh_as_of: Moment,
    applied: u64,
    generation: u64,
    found: Option<(Judgement, bool)>,
    effect: Option<usize>,
    now: Moment,
}

#[derive(Clone, Copy)]
enum Step {
    /// Lease, freshness and place in the log.
    Bounds,
    /// The view's generation, before the look: what comes during it is looked for the next time.
    Generation,
    /// Index and policy table; a stamp of this generation stands for the index, and so does one of an earlier generation if
    /// none of the events since then concerns the token.
    Look,
    /// The stamp, if the token was found good.
    Stamp,
    /// The clock, read by this very decision.
    Clock,
}

impl EndpointDecision {
    /// Runs all steps. `clock` is read by this very decision.
    #[inline(always)]
    pub fn run(view: &View, question: Question<'_>, clock: impl Fn() -> Moment) -> Outcome {
        let mut decision = Self::default();
        for step in order() {
            decision.take(step, view, question, &clock);
        }
        decision.outcome()
    }

    /// Takes the next step; the outcome after the last.
    pub fn step(&mut self, view: &View, question: Question<'_>, clock: impl FnOnce() -> Moment) -> Option<Outcome> {
        let order = order();
        if let Some(step) = order.get(self.next) {
            self.take(*step, view, question, clock);
        }
        (self.next >= order.len()).then(|| self.outcome())
    }

    #[inline(always)]
    fn take(&mut self, step: Step, view: &View, question: Question<'_>, clock: impl FnOnce() -> Moment) {
        match step {
            Step::Bounds => {
                self.lease_end = view.lease_end();
                self.fresh_as_of = view.fresh_as_of();
                self.applied = view.applied();
            }
            Step::Generation => self.generation = view.generation(),
            Step::Look => self.look(view, question),
            Step::Stamp => self.stamp(view, question),
            Step::Clock => {
                // It only ever grows, unless the lease was given back: then nobody waits for this process any more.
                self.lease_end = self.lease_end.min(view.lease_end());
                self.now = clock();
            }
        }
        self.next += 1;
    }

    /// The number of the step at which it took effect, once it has: at its look into the index or, where a stamp stood
    /// for the index, when it loaded the generation, just before.
    pub fn took_effect_at(&self) -> Option<usize> {
        self.effect
    }

    #[inline(always)]
    fn look(&mut self, view: &View, question: Question<'_>) {
        let is_stamped =
            question.stamp.is_some_and(|stamp| view.still_passes(question.token, stamp.get(), self.generation));
        let judgement = if is_stamped { view.judge_stamped(question.token) } else { view.judge(question.token) };
        let permitted = question.permission.is_none_or(|wanted| {
            view.policy(question.token.audience()).is_some_and(|table| table.permits(question.roles, wanted))
        });
        self.found = Some((judgement, permitted));
        self.effect = Some(self.next - usize::from(is_stamped));
    }

    #[inline(always)]
    fn stamp(&self, view: &View, question: Question<'_>) {
        let (Some(stamp), Some((Judgement::Good, _))) = (question.stamp, self.found) else { return };
        let generation = if mutant!(StampAfterLookup) { view.generation() } else { self.generation };
        // Written only when it changes: threads that share a token only read.
        if stamp.get() != generation {
            stamp.set(generation);
        }
    }

    #[inline(always)]
    fn outcome(&self) -> Outcome {
        // Without a look nobody is let in.
        let (judgement, permitted) = self.found.unwrap_or((Judgement::Refused, false));
        let standing = Standing {
            is_leased: self.now < self.lease_end,
            age_ns: self.now.nanos_since(self.fresh_as_of),
            as_of_seq: self.applied,
            is_known: self.fresh_as_of > Moment::BEGINNING,
        };
        Outcome { judgement, permitted, standing }
    }
}

/// The order of the steps, which nothing may change; the broken ones are for the model, which shows what each breaks.
#[inline(always)]
fn order() -> [Step; 5] {
    if mutant!(ClockBeforeIndex) {
        [Step::Bounds, Step::Clock, Step::Generation, Step::Look, Step::Stamp]
    } else if mutant!(LeaseEndAfterIndex) {
        [Step::Generation, Step::Look, Step::Stamp, Step::Bounds, Step::Clock]
    } else if mutant!(CachedClock) {
        [Step::Clock, Step::Bounds, Step::Generation, Step::Look, Step::Stamp]
    } else {
        [Step::Bounds, Step::Generation, Step::Look, Step::Stamp, Step::Clock]
    }
}
