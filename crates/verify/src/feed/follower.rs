//! The verifier's side of the feed, without IO: what to send, and what to do with what arrives.
//!
//! Messages may be lost, repeated, late or out of order. A batch is taken only where it continues what was applied;
//! a grant counts from the moment *before* its renewal was sent, and only once everything that the authority had
//! committed by then is applied here.

use std::collections::VecDeque;
use std::time::Duration;

use super::message::{Batch, Event, Grant, Instance, Renew, Subscribe};
use super::view::View;
use crate::clock::Moment;
use crate::mutant;

/// The bound on how much two clocks may run apart, in thousandths: ρ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Drift(u32);

impl Drift {
    /// From thousandths; at most 999.
    pub fn per_mille(thousandths: u32) -> Self {
        Self(thousandths.min(999))
    }

    /// So much of a stretch as has surely not passed yet on any other clock: × (1 − ρ).
    pub fn shorten(self, stretch: Duration) -> Duration {
        stretch.saturating_mul(1000 - self.0) / 1000
    }
}

impl Default for Drift {
    /// 0.2: either clock may be slewed by a tenth.
    fn default() -> Self {
        Self(200)
    }
}

/// Renewals whose grant may still come. Older ones are of no use: their lease would be over.
const MOST_ASKED: usize = 64;

/// The follower of one view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Follower {
    instance: Instance,
    drift: Drift,
    next_n: u64,
    /// When each renewal was about to be sent.
    asked: VecDeque<(u64, Moment)>,
    /// Grants whose head is not applied yet, with the moment that they count from.
    waiting: Vec<(Moment, Grant)>,
    /// The snapshot that is arriving: where it ends, and its next part.
    snapshot: Option<(u64, u32)>,
    /// The log went back, and no snapshot has told yet how it goes on.
    afresh: bool,
    released: bool,
}

/// What a message asks the follower's owner to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Nothing.
    None,
    /// Send `ack{applied}`.
    Ack(u64),
    /// Events are missing: subscribe again from `applied`.
    Resubscribe,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Accepted {
    /// It was taken before.
    Known,
    /// Events are missing before it.
    Gap,
    /// It is to be published, step by step.
    Publish(Publication),
}

impl Follower {
    /// A follower with an instance id that nobody else has ever used.
    pub fn new(instance: Instance, drift: Drift) -> Self {
        Self {
            instance,
            drift,
            next_n: 1,
            asked: VecDeque::new(),
            waiting: Vec::new(),
            snapshot: None,
            afresh: false,
            released: false,
        }
    }

    /// The instance id.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// Begins a connection: what was half received on the one before is forgotten. What comes over that one from now on
    /// may not be handed in any more: the parts of two snapshots may be cut differently.
    pub fn subscribe(&mut self, view: &View) -> Subscribe {
        self.snapshot = None;
        Subscribe { instance: self.instance, applied: view.applied() }
    }

    /// The log went back behind what was applied here: forgets its place and becomes another instance.
    pub fn start_afresh(&mut self, view: &View, instance: Instance) {
        view.start_afresh();
        // A grant that is still on its way answers none of the renewals to come.
        *self = Self { afresh: true, released: self.released, next_n: self.next_n, ..Self::new(instance, self.drift) };
    }

    /// Asks for a grant. `now` was read before the message goes out.
    pub fn renew(&mut self, now: Moment) -> Renew {
        let n = self.next_n;
        self.next_n += 1;
        self.asked.push_back((n, now));
        if self.asked.len() > MOST_ASKED {
            self.asked.pop_front();
        }
        Renew { instance: self.instance, n }
    }

    /// No grant is used from now on: neither one that is on its way nor one that runs. To be called before the release
    /// is sent.
    pub fn release(&mut self, view: &View) {
        self.released = true;
        self.waiting.clear();
        view.end_lease();
    }

    /// Takes a grant. `now` is only for a mutant.
    pub fn grant(&mut self, view: &View, grant: Grant, now: Moment) {
        if self.released && !mutant!(GrantAfterRelease) {
            return;
        }
        let Some(asked) = self.asked_at(grant.n) else { return };
        let t0 = if mutant!(LeaseFromReceipt) { now } else { asked };
        view.raise_floor(grant.floor);
        if !self.waiting.contains(&(t0, grant)) {
            self.waiting.push((t0, grant));
        }
        self.settle(view);
    }

    fn asked_at(&self, n: u64) -> Option<Moment> {
        if mutant!(LeaseFromNewestRequest) {
            return self.asked.back().map(|(_, at)| *at);
        }
        self.asked.iter().find(|(asked, _)| *asked == n).map(|(_, at)| *at)
    }

    /// Uses the grants whose head is applied by now.
    fn settle(&mut self, view: &View) {
        let applied = view.applied();
        let drift = self.drift;
        self.waiting.retain(|(t0, grant)| {
            if grant.head > applied && !mutant!(UsedBeforeHead) {
                return true;
            }
            let lease = if mutant!(LeaseWithoutDrift) { grant.lease } else { drift.shorten(grant.lease) };
            let end = (!grant.lease.is_zero()).then(|| t0.plus(lease));
            view.extend(t0.minus(grant.age), end);
            false
        });
        let excess = self.waiting.len().saturating_sub(MOST_ASKED);
        self.waiting.drain(..excess);
    }

    /// Takes a batch in one go.
    pub fn batch(&mut self, view: &View, batch: Batch) -> Reaction {
        match self.accept(view, batch) {
            Accepted::Known => Reaction::None,
            Accepted::Gap => Reaction::Resubscribe,
            Accepted::Publish(mut publication) => {
                let mut acknowledged = Reaction::None;
                while let Some(step) = publication.step(self, view) {
                    if let Step::Ack(applied) = step {
                        acknowledged = Reaction::Ack(applied);
                    }
                }
                acknowledged
            }
        }
    }

    /// Decides on a batch; what is to be published is then published step by step.
    pub fn accept(&mut self, view: &View, batch: Batch) -> Accepted {
        view.raise_floor(batch.floor);
        let applied = view.applied();
        if batch.to <= applied {
            return Accepted::Known;
        }
        if batch.from > applied && !mutant!(GapTaken) {
            return Accepted::Gap;
        }
        if batch.from == 0 {
            if batch.part != 0 && self.snapshot != Some((batch.to, batch.part)) {
                self.snapshot = None;
                return Accepted::Gap;
            }
            self.snapshot = (!batch.last).then_some((batch.to, batch.part + 1));
        }
        if mutant!(OldSnapshotSwappedIn) && batch.from == 0 && batch.part == 0 {
            #[cfg(propusk_mutants)]
            view.index.clear();
        }
        Accepted::Publish(Publication { to: batch.last.then_some(batch.to), events: batch.events, next: 0 })
    }
}

/// Makes a batch visible in the one right order. Decisions may come between any two steps.
#[derive(Debug, Clone)]
pub struct Publication {
    /// `None` for a part of a snapshot that is not the last.
    to: Option<u64>,
    events: Vec<Event>,
    next: usize,
}

/// One step of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Events went into index, rings and tables.
    Index,
    /// The generation was raised.
    Generation,
    /// `applied` was raised, and grants that waited for it count.
    Applied,
    /// `ack{applied}` is to be sent.
    Ack(u64),
}

impl Publication {
    const ORDER: [Step; 4] = [Step::Index, Step::Generation, Step::Applied, Step::Ack(0)];

    /// Whether no step is left.
    pub fn is_over(&self) -> bool {
        self.next == Self::ORDER.len()
    }

    /// Takes the next step; `None` after the last.
    pub fn step(&mut self, follower: &mut Follower, view: &View) -> Option<Step> {
        let mut order = Self::ORDER;
        if mutant!(AckBeforePublish) {
            order = [Step::Ack(0), Step::Index, Step::Generation, Step::Applied];
        } else if mutant!(GenerationBeforeIndex) {
            order = [Step::Generation, Step::Index, Step::Applied, Step::Ack(0)];
        } else if mutant!(GenerationAfterAck) {
            order = [Step::Index, Step::Applied, Step::Ack(0), Step::Generation];
        }
        let step = *order.get(self.next)?;
        self.next += 1;
        match step {
            Step::Index => self.events.iter().for_each(|event| view.put(event)),
            Step::Generation if self.events.is_empty() || mutant!(GenerationNever) => {}
            Step::Generation => view.raise_generation(),
            Step::Applied => {
                if let Some(to) = self.to {
                    if std::mem::take(&mut follower.afresh) {
                        view.go_on_anew();
                    }
                    view.set_applied(to);
                    follower.settle(view);
                }
            }
            Step::Ack(_) => return self.to.map(Step::Ack),
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::message::Change;
    use super::super::view::{Judgement, TokenParts};
    use super::*;
    use crate::jose::KeyRing;

    /// Past the head of any log that never leapt.
    const LEAP: u64 = 1 << 32;

    fn ring(kid: &str) -> Arc<KeyRing> {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let jwks = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","alg":"EdDSA","use":"sig"}}]}}"#
        );
        Arc::new(KeyRing::from_jwks(jwks.as_bytes()).unwrap())
    }

    fn keys_changed(seq: u64, kid: &str) -> Event {
        Event { seq, until: u64::MAX, change: Change::KeysChanged { aud: "cars".to_owned(), ring: ring(kid) } }
    }

    fn event(seq: u64, change: Change) -> Event {
        Event { seq, until: u64::from(u32::MAX), change }
    }

    fn snapshot(to: u64, events: Vec<Event>) -> Batch {
        Batch { from: 0, to, floor: 0, events, last: true, part: 0 }
    }

    fn judge(view: &View, sid: &str, epoch: u64) -> Judgement {
        let token = TokenParts {
            aud: "cars",
            jti: "t_1",
            sid: Some(sid),
            sub: "u_1",
            client_id: "web",
            actors: &[],
            epoch,
            exp: u64::from(u32::MAX),
            kid: "old",
        };
        view.judge(&view.keys_of_parts(&token).unwrap())
    }

    /// The authority was restored from a backup at position 40, when this verifier had applied 100.
    #[test]
    fn a_head_that_leapt_is_reached_by_a_snapshot_and_forgets_nothing() {
        let (view, mut follower) = (View::predictable(["cars"]), Follower::new(Instance([1; 16]), Drift::default()));
        let revoked = event(90, Change::SessionRevoked("s_1".to_owned()));
        follower.batch(&view, snapshot(100, vec![keys_changed(1, "old"), revoked]));
        assert_eq!(judge(&view, "s_2", 99), Judgement::Good);
        assert_eq!(follower.subscribe(&view).applied, 100);
        let head = 40 + LEAP + 2;
        let all = event(head, Change::AllChanged("*".to_owned()));
        assert_eq!(follower.batch(&view, snapshot(head, vec![keys_changed(head, "new"), all])), Reaction::Ack(head));
        assert_eq!(judge(&view, "s_1", head), Judgement::Refused, "what was revoked in the lost part stays so");
        assert_eq!(judge(&view, "s_2", 99), Judgement::Stale);
        assert_eq!(judge(&view, "s_2", head), Judgement::Good);
        let ring = view.ring(0).unwrap();
        assert!(ring.get("new").is_some() && ring.get("old").is_none());
    }

    /// The same backup was restored a second time: the positions that were applied here are higher than any there are.
    #[test]
    fn a_head_that_went_back_brings_the_ring_of_now_and_forgets_nothing() {
        let (view, mut follower) = (View::predictable(["cars"]), Follower::new(Instance([1; 16]), Drift::default()));
        let revoked = event(LEAP + 90, Change::SessionRevoked("s_1".to_owned()));
        let all = |seq| event(seq, Change::AllChanged("*".to_owned()));
        follower.batch(&view, snapshot(LEAP + 100, vec![keys_changed(LEAP + 99, "lost"), revoked, all(LEAP + 95)]));
        follower.start_afresh(&view, Instance([2; 16]));
        assert_eq!(follower.subscribe(&view).applied, 0);
        assert_eq!((view.lease_end(), view.fresh_as_of()), (Moment::BEGINNING, Moment::BEGINNING));
        assert!(view.ring(0).unwrap().get("lost").is_some(), "until the authority has told what holds now");
        let head = LEAP + 42;
        let part = |part, last, events| Batch { part, last, ..snapshot(head, events) };
        follower.batch(&view, part(0, false, vec![keys_changed(head, "now")]));
        assert_eq!(judge(&view, "s_2", LEAP + 60), Judgement::Stale, "until the snapshot is whole");
        assert_eq!(follower.batch(&view, part(1, true, vec![all(head)])), Reaction::Ack(head));
        assert_eq!(judge(&view, "s_2", head), Judgement::Good, "a token of now");
        assert_eq!(judge(&view, "s_2", head - 1), Judgement::Stale);
        let ring = view.ring(0).unwrap();
        assert!(ring.get("now").is_some() && ring.get("lost").is_none(), "a key of the lost part is in no ring");
        assert_eq!(judge(&view, "s_1", head), Judgement::Refused);
    }
}
