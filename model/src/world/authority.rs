//! The authority of a world: its log, and the shipping machines that know its verifiers.

use std::time::Duration;

use propusk_core::env::Timestamp;
use propusk_core::feed::{Answer, AnswerStep, Follower, Progress, Reading, Registry, Wait};
use propusk_verify::clock::Moment;
use propusk_verify::feed::{Batch, Change, Event, Instance};

use super::config::{LEASE, Limits, MAX_STALENESS};
use super::{Message, REVOKED, SESSION};

/// Clocks begin at different readings: nothing may depend on them.
const FIRST: Moment = Moment::from_nanos(100);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Authority {
    pub(super) now: Moment,
    pub(super) head: u64,
    registry: Registry,
    /// The renewal that is being answered.
    answer: Option<(Instance, Answer)>,
    wait: Option<Wait>,
    wait_begun: Moment,
    /// Up to here a call was answered `enforced`.
    pub(super) enforced: u64,
    /// When the revocation was committed, where the bound of ordinary endpoints is looked at.
    revoked_at: Option<Moment>,
    pub(super) started: Moment,
    pub(super) restarts: u8,
    pub(super) disconnects: u8,
}

impl Authority {
    pub(super) fn new(head: u64) -> Self {
        Self {
            now: FIRST,
            head,
            registry: Registry::start(FIRST, LEASE, Duration::ZERO),
            answer: None,
            wait: None,
            wait_begun: Moment::BEGINNING,
            enforced: 0,
            revoked_at: None,
            started: FIRST,
            restarts: 0,
            disconnects: 0,
        }
    }

    pub(super) fn was_restarted(&self) -> bool {
        self.restarts > 0
    }

    /// A process that is started again. The longest lease was stored before the first was granted; the log is there,
    /// everything else is not, and who waited got no answer.
    pub(super) fn restart(&mut self) {
        self.registry = Registry::start(self.now, LEASE, LEASE);
        self.started = self.now;
        self.answer = None;
        self.wait = None;
        self.restarts += 1;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.answer.is_some()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    pub(super) fn commit(&mut self, limits: &Limits) {
        self.head += 1;
        if self.head == REVOKED && limits.bound {
            self.revoked_at = Some(self.now);
        }
        if self.head >= REVOKED && limits.plain && self.wait.is_none() {
            self.begin_wait();
        }
    }

    /// A call waits for everything that is committed: its own event is the last, or it found nothing to change.
    pub(super) fn begin_wait(&mut self) {
        self.wait = Some(self.registry.wait(self.now, self.head));
        self.wait_begun = self.now;
    }

    pub(super) fn look_at_wait(&mut self) {
        let Some(wait) = &mut self.wait else { return };
        if self.registry.progress(wait, self.now) == Progress::Enforced {
            self.enforced = self.enforced.max(wait.seq());
            self.wait = None;
        }
    }

    /// At most one lease after it began, and after a start at most one lease after that.
    pub(super) fn waits_too_long(&self) -> bool {
        self.wait.is_some() && self.now >= self.wait_begun.plus(LEASE)
    }

    pub(super) fn is_past_bound(&self) -> bool {
        self.revoked_at.is_some_and(|at| self.now.since(at) > MAX_STALENESS)
    }

    pub(super) fn take(&mut self, message: Message) -> Option<()> {
        match message {
            Message::Subscribe(instance, applied) => {
                let who = Follower { service: "cars".to_owned(), address: String::new(), version: String::new() };
                self.registry.connected(self.now, Timestamp(0), instance, who, applied).ok()?;
            }
            Message::Renew(renew) => self.answer = Some((renew.instance, Answer::to(renew))),
            Message::Ack(instance, applied) => self.registry.acked(self.now, instance, applied),
            Message::Release(instance) => self.registry.released(self.now, instance),
            Message::Grant(..) => return None,
        }
        Some(())
    }

    /// The next step of the answer; what it sends.
    pub(super) fn answer_on(&mut self) -> Option<Message> {
        let (instance, answer) = self.answer.as_mut()?;
        let instance = *instance;
        let reading = Reading { now: self.now, head: self.head, floor: 0 };
        match answer.step(&mut self.registry, reading) {
            Some(AnswerStep::Sent(grant)) => Some(Message::Grant(instance, grant)),
            Some(AnswerStep::Prepared) => None,
            None => {
                self.answer = None;
                None
            }
        }
    }

    pub(super) fn disconnect(&mut self, instance: Instance) {
        self.registry.disconnected(self.now, instance);
        self.disconnects += 1;
    }

    /// Every event in (from, to]: only the one of [`REVOKED`] concerns the token.
    pub(super) fn batch(from: u64, to: u64) -> Batch {
        let change = |seq| match seq {
            REVOKED => Change::SessionRevoked(SESSION.to_owned()),
            other => Change::SubjectChanged(format!("u_other_{other}")),
        };
        let events = (from + 1..=to).map(|seq| Event { seq, until: 10, change: change(seq) }).collect();
        Batch { from, to, floor: 0, events, part: 0, last: true }
    }
}
