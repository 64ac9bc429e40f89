//! A verifier of a world: one process on its machine, with the shipping follower, view and decisions.

use propusk_verify::clock::Moment;
use propusk_verify::feed::{
    Accepted, Batch, EndpointDecision, Follower, Grant, Instance, Judgement, Outcome, Publication, Question, Renew,
    Stamp, Step,
};
use propusk_verify::mutant;

use super::authority::Authority;
use super::config::{MAX_STALENESS, drift};
use super::{AUDIENCE, Broken, token};
use crate::view::Held;

/// Clocks begin at different readings: nothing may depend on them.
const FIRST: Moment = Moment::from_nanos(1000);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    number: u8,
    pub(super) now: Moment,
    pub(super) is_connected: bool,
    pub(super) renewals: u8,
    pub(super) batches: u8,
    pub(super) restarts: u8,
    pub(super) has_released: bool,
    view: Held,
    follower: Follower,
    publishing: Option<Publishing>,
    decision: Option<Decision>,
    pub(super) decisions: u8,
    has_let_in: bool,
    /// The generation that the token was last found good in, as its entry in the cache has it.
    stamp: u64,
}

/// Which batch, or part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchId {
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// `None`: all of it. Otherwise the first or the second half.
    pub part: Option<u32>,
}

impl BatchId {
    fn batch(self) -> Batch {
        let mut batch = Authority::batch(self.from, self.to);
        if let Some(part) = self.part {
            let second = batch.events.split_off(batch.events.len() / 2);
            if part == 1 {
                batch.events = second;
            }
            batch.part = part;
            batch.last = part == 1;
        }
        batch
    }
}

/// A batch that is becoming visible.
#[derive(Debug, Clone)]
struct Publishing {
    id: BatchId,
    steps: u8,
    publication: Publication,
}

/// Its batch and how far it has come say it all.
impl PartialEq for Publishing {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.steps) == (other.id, other.steps)
    }
}

impl Eq for Publishing {}

impl std::hash::Hash for Publishing {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.id, self.steps).hash(state);
    }
}

/// A decision that is being made, and what had been promised about the token at each of its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Decision {
    steps: EndpointDecision,
    promised: Vec<Promised>,
}

/// What an authority has promised by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Promised {
    /// The revocation is enforced.
    pub(super) is_enforced: bool,
    /// It was committed longer ago than ordinary endpoints may be behind.
    pub(super) is_past_bound: bool,
}

/// Who lets the token in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Elite endpoints, by lease.
    pub(super) leased: bool,
    /// Ordinary endpoints.
    pub(super) fresh: bool,
}

impl Told {
    fn by(outcome: Outcome) -> Self {
        let is_good = outcome.judgement == Judgement::Good;
        Self {
            leased: is_good && outcome.standing.is_leased,
            fresh: is_good
                && outcome.standing.is_fresh(Moment::BEGINNING.plus(drift().shorten(MAX_STALENESS)).as_nanos()),
        }
    }
}

/// The id of a process: in earnest from the system's random generator, here from what makes it one of a kind. That a
/// process draws it for itself, at each start, is a matter of how it is put together, so these two rules break here.
fn instance(number: u8, run: u8) -> Instance {
    let mut bits = [0; 16];
    bits[0] = if mutant!(InstanceShared) { 0 } else { number };
    bits[1] = if mutant!(InstanceKept) { 0 } else { run };
    Instance(bits)
}

impl Machine {
    /// A verifier that is connected and has applied everything up to `head`.
    pub(super) fn new(number: u8, head: u64) -> Self {
        let follower = Follower::new(instance(number, 0), drift());
        let mut machine = Self {
            number,
            now: FIRST,
            is_connected: true,
            renewals: 0,
            batches: 0,
            restarts: 0,
            has_released: false,
            view: Held::new(AUDIENCE),
            follower,
            publishing: None,
            decision: None,
            decisions: 0,
            has_let_in: false,
            stamp: Stamp::default().get(),
        };
        if head > 0 {
            let _ = machine.take_batch(BatchId { from: 0, to: head, part: None });
        }
        machine
    }

    /// Another process takes its place; nothing of the one before is left.
    pub(super) fn restart(&mut self) {
        let run = self.restarts + 1;
        *self = Self {
            now: self.now,
            is_connected: false,
            renewals: self.renewals,
            batches: self.batches,
            restarts: run,
            decisions: self.decisions,
            has_let_in: self.has_let_in,
            follower: Follower::new(instance(self.number, run), drift()),
            ..Self::new(self.number, 0)
        };
    }

    pub(super) fn instance(&self) -> Instance {
        self.follower.instance()
    }

    pub(super) fn applied(&self) -> u64 {
        self.view.get().applied()
    }

    /// The follower does one thing after the other.
    pub(super) fn is_busy(&self) -> bool {
        self.publishing.is_some()
    }

    pub(super) fn had_lease(&self) -> bool {
        self.view.get().lease_end() > Moment::BEGINNING
    }

    pub(super) fn is_leased(&self) -> bool {
        self.now < self.view.get().lease_end()
    }

    pub(super) fn was_restarted(&self) -> bool {
        self.restarts > 0
    }

    pub(super) fn has_released(&self) -> bool {
        self.has_released
    }

    pub(super) fn has_let_in(&self) -> bool {
        self.has_let_in
    }

    pub(super) fn subscribe(&mut self) -> (Instance, u64) {
        let subscribe = self.follower.subscribe(self.view.get());
        self.is_connected = true;
        (subscribe.instance, subscribe.applied)
    }

    pub(super) fn renew(&mut self) -> Renew {
        self.renewals += 1;
        self.follower.renew(self.now)
    }

    pub(super) fn release(&mut self) -> Instance {
        let follower = &mut self.follower;
        self.view.change(|view| follower.release(view));
        self.has_released = true;
        self.follower.instance()
    }

    pub(super) fn take_grant(&mut self, grant: Grant) {
        let (follower, now) = (&mut self.follower, self.now);
        self.view.change(|view| follower.grant(view, grant, now));
    }

    /// Takes a batch in one go; what is to be acknowledged.
    pub(super) fn take_batch(&mut self, id: BatchId) -> Option<u64> {
        self.begin_batch(id)?;
        let mut acknowledged = None;
        while self.is_busy() {
            acknowledged = self.publish_on().or(acknowledged);
        }
        acknowledged
    }

    /// Begins to publish a batch; `None` if it is not taken.
    pub(super) fn begin_batch(&mut self, id: BatchId) -> Option<()> {
        let follower = &mut self.follower;
        match self.view.change(|view| follower.accept(view, id.batch())) {
            Accepted::Publish(publication) => {
                self.batches = self.batches.saturating_add(1);
                self.publishing = Some(Publishing { id, steps: 0, publication });
            }
            Accepted::Known | Accepted::Gap => return None,
        }
        Some(())
    }

    /// The next step of the publication; what is to be acknowledged.
    pub(super) fn publish_on(&mut self) -> Option<u64> {
        let publishing = self.publishing.as_mut()?;
        let follower = &mut self.follower;
        publishing.steps += 1;
        let step = self.view.change(|view| publishing.publication.step(follower, view));
        if publishing.publication.is_over() {
            self.publishing = None;
        }
        match step? {
            Step::Ack(applied) => Some(applied),
            Step::Index | Step::Generation | Step::Applied => None,
        }
    }

    /// What would be decided now, in no time.
    pub(super) fn decide(&self) -> Told {
        Told::by(EndpointDecision::run(self.view.get(), question(None), || self.now))
    }

    pub(super) fn is_deciding(&self) -> bool {
        self.decision.is_some()
    }

    /// The next step of a decision; what it breaks.
    pub(super) fn decide_on(&mut self, promised: Promised) -> Option<Broken> {
        let now = self.now;
        let mut decision = self.decision.take().unwrap_or_else(|| {
            self.decisions += 1;
            Decision::default()
        });
        decision.promised.push(promised);
        let stamp = Stamp::of(self.stamp);
        let outcome = decision.steps.step(self.view.get(), question(Some(&stamp)), || now);
        self.stamp = stamp.get();
        let Some(outcome) = outcome else {
            self.decision = Some(decision);
            return None;
        };
        let told = Told::by(outcome);
        self.has_let_in |= told.leased;
        let promised = decision.promised[decision.steps.took_effect_at()?];
        if promised.is_enforced && told.leased {
            return Some(Broken::Leased);
        }
        (promised.is_past_bound && told.fresh).then_some(Broken::Stale)
    }
}

fn question(stamp: Option<&Stamp>) -> Question<'_> {
    Question::about(token(), stamp)
}
