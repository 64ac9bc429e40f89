//! The verifiers of one authority process: what each has acknowledged, and until when it may decide from memory.

use std::collections::BTreeMap;
use std::time::Duration;

use propusk_verify::clock::Moment;
use propusk_verify::feed::{Grant, Instance, Renew};
use propusk_verify::mutant;

use super::penalty::Penalties;
use crate::env::Timestamp;

/// How long an instance that is not heard of stays in the list.
pub(super) const HEARD_OF: Duration = Duration::from_secs(60);
/// Instances of one service. More than any service has; a bound for memory.
const MOST_INSTANCES: usize = 4096;

/// Who follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Follower {
    /// The client that authenticated.
    pub service: String,
    /// Where it connects from.
    pub address: String,
    /// The version it named.
    pub version: String,
}

/// One instance, as it is shown to administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerState {
    /// Who.
    pub follower: Follower,
    /// Which process.
    pub instance: Instance,
    /// When it connected last.
    pub connected_at: Timestamp,
    /// Whether a connection is open.
    pub is_connected: bool,
    /// The last position that it acknowledged.
    pub acked: u64,
    /// How long its lease still runs.
    pub lease_left: Duration,
    /// When it was behind the head last, for how long by now; zero while it is not.
    pub lag: Duration,
    /// Entries, hits and misses of its token cache, as it said.
    pub cache: [u64; 3],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) follower: Follower,
    connected_at: Timestamp,
    connections: u32,
    pub(super) acked: u64,
    /// The end of the longest lease that was recorded.
    pub(super) lease_end: Moment,
    /// Leases that run were granted with this head or a later one: it can hold up nothing before.
    granted_head: u64,
    pub(super) heard: Moment,
    released: bool,
    blamed: bool,
    /// Since when it has been behind the head.
    behind_since: Option<Moment>,
    cache: [u64; 3],
}

/// What a renewal is answered from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The clock, read after the renewal came in.
    pub now: Moment,
    /// The log's head.
    pub head: u64,
    /// Unix seconds; it travels with the grant.
    pub floor: u64,
}

/// The answer to one renewal. Anything may happen between two of its steps, so whatever must not be torn apart is one:
/// a change that is committed between taking the head and recording the lease would wait for nobody, and the grant
/// would let its verifier decide without that change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    renew: Renew,
    next: usize,
    grant: Option<Grant>,
}

/// What a step of an answer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerStep {
    /// Nothing that others see before the next step.
    Prepared,
    /// The grant goes out.
    Sent(Grant),
}

#[derive(Clone, Copy)]
enum Part {
    /// Head and length of the lease.
    Terms,
    /// The lease's end, for waits.
    Record,
    Send,
}

impl Answer {
    /// A renewal has come in.
    pub fn to(renew: Renew) -> Self {
        Self { renew, next: 0, grant: None }
    }

    /// Takes the next step, from what is read in that step; `None` after the last, or for an instance that never
    /// subscribed.
    pub fn step(&mut self, registry: &mut Registry, reading: Reading) -> Option<AnswerStep> {
        let steps: &[&[Part]] = if mutant!(HeadAndRecordApart) {
            &[&[Part::Terms], &[Part::Record], &[Part::Send]]
        } else if mutant!(SentBeforeRecorded) {
            &[&[Part::Terms, Part::Send], &[Part::Record]]
        } else {
            &[&[Part::Terms, Part::Record], &[Part::Send]]
        };
        let parts = steps.get(self.next)?;
        self.next += 1;
        let mut step = AnswerStep::Prepared;
        for part in *parts {
            match part {
                Part::Terms => self.grant = registry.terms(reading, self.renew),
                Part::Record => registry.record(reading.now, self.renew.instance, &self.grant?),
                Part::Send => step = AnswerStep::Sent(self.grant?),
            }
        }
        Some(step)
    }
}

/// Why an instance cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// An instance id belongs to the client that used it first.
    #[error("this instance id is another client's: draw a new one at each start")]
    AnothersInstance,
    /// It was released.
    #[error("this instance was released: draw a new id at each start")]
    Released,
    /// Too many.
    #[error("too many instances of this service")]
    TooMany,
}

/// Acknowledgements and leases. It lives in memory: after a start nothing counts as enforced before the longest lease
/// of the run before has surely run out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Registry {
    lease: Duration,
    pub(super) quiet_until: Moment,
    pub(super) records: BTreeMap<Instance, Record>,
    penalties: Penalties,
}

impl Registry {
    /// At the start of a process. `longest_before` is the longest lease that any run before may have granted; it was
    /// stored before its first use.
    pub fn start(now: Moment, lease: Duration, longest_before: Duration) -> Self {
        let quiet_until = if mutant!(ForgottenAtStart) { now } else { now.plus(longest_before) };
        Self { lease, quiet_until, records: BTreeMap::new(), penalties: Penalties::default() }
    }

    /// A connection begins.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn connected(
        &mut self,
        now: Moment,
        wall: Timestamp,
        instance: Instance,
        follower: Follower,
        applied: u64,
    ) -> Result<(), SubscribeError> {
        match self.records.get(&instance) {
            Some(record) if record.follower.service != follower.service => {
                return Err(SubscribeError::AnothersInstance);
            }
            Some(record) if record.released => return Err(SubscribeError::Released),
            None if self.instances_of(&follower.service) >= MOST_INSTANCES => return Err(SubscribeError::TooMany),
            _ => {}
        }
        let record = self.records.entry(instance).or_insert_with(|| Record {
            follower: follower.clone(),
            connected_at: wall,
            connections: 0,
            acked: 0,
            lease_end: Moment::BEGINNING,
            granted_head: 0,
            heard: now,
            released: false,
            blamed: false,
            behind_since: None,
            cache: [0; 3],
        });
        record.follower = follower;
        record.connected_at = wall;
        record.connections += 1;
        record.heard = now;
        record.acked = record.acked.max(applied);
        Ok(())
    }

    fn instances_of(&self, service: &str) -> usize {
        self.records.values().filter(|record| record.follower.service == service).count()
    }

    /// A connection ended. The lease runs on: the verifier may not know yet.
    pub fn disconnected(&mut self, now: Moment, instance: Instance) {
        if let Some(record) = self.records.get_mut(&instance) {
            record.connections = record.connections.saturating_sub(1);
            record.heard = now;
            if mutant!(ForgottenAtDisconnect) {
                record.lease_end = Moment::BEGINNING;
            }
        }
    }

    /// The instance has applied everything up to `applied`.
    pub fn acked(&mut self, now: Moment, instance: Instance, applied: u64) {
        if let Some(record) = self.records.get_mut(&instance) {
            record.heard = now;
            record.acked = record.acked.max(applied);
        }
    }

    /// Answers a renewal. The reading is taken in the same step as this is called in, after the renewal came in; the
    /// lease is recorded before the grant can be sent. `None` for an instance that never subscribed.
    pub fn renew(&mut self, now: Moment, head: u64, floor: u64, instance: Instance, n: u64) -> Option<Grant> {
        let mut answer = Answer::to(Renew { instance, n });
        let reading = Reading { now, head, floor };
        let mut grant = None;
        while let Some(step) = answer.step(self, reading) {
            if let AnswerStep::Sent(sent) = step {
                grant = Some(sent);
            }
        }
        grant
    }

    /// Notes the lease of a grant.
    fn record(&mut self, now: Moment, instance: Instance, grant: &Grant) {
        let Some(record) = self.records.get_mut(&instance) else { return };
        let since = if mutant!(RecordedAsOfBeforeReceipt) { record.heard } else { now };
        record.heard = now;
        if record.lease_end <= now {
            record.granted_head = grant.head;
        }
        if !grant.lease.is_zero() {
            record.lease_end = record.lease_end.max(since.plus(grant.lease));
            record.blamed = false;
        }
        record.behind_since = if record.acked < grant.head { record.behind_since.or(Some(now)) } else { None };
    }

    fn terms(&self, reading: Reading, renew: Renew) -> Option<Grant> {
        let record = self.records.get(&renew.instance)?;
        let head = if mutant!(GrantOfOldHead) { record.granted_head } else { reading.head };
        let lease = self.lease_for(reading.now, renew.instance);
        Some(Grant { n: renew.n, head, lease, age: Duration::ZERO, floor: reading.floor })
    }

    fn lease_for(&self, now: Moment, instance: Instance) -> Duration {
        let denied = self.records.get(&instance).is_none_or(|record| {
            record.released || self.penalties.runs(now, &record.follower.service, &record.follower.address)
        });
        if denied { Duration::ZERO } else { self.lease }
    }

    /// What the instance says of its token cache, for the list.
    pub fn cache(&mut self, instance: Instance, cache: [u64; 3]) {
        if let Some(record) = self.records.get_mut(&instance) {
            record.cache = cache;
        }
    }

    /// The instance uses no grant from now on.
    pub fn released(&mut self, now: Moment, instance: Instance) {
        if let Some(record) = self.records.get_mut(&instance) {
            record.heard = now;
            record.released = true;
            record.lease_end = Moment::BEGINNING;
        }
    }

    /// Takes leases from an instance for a while.
    pub fn blame(&mut self, now: Moment, instance: Instance) {
        if let Some(record) = self.records.get_mut(&instance)
            && !record.blamed
        {
            record.blamed = true;
            self.penalties.blame(now, &record.follower.service, &record.follower.address);
        }
    }

    /// Once in a while: forgets who is not heard of, and blames who vanished without a release.
    pub fn sweep(&mut self, now: Moment) {
        let vanished: Vec<Instance> = self
            .records
            .iter()
            .filter(|(_, record)| {
                record.connections == 0
                    && !record.released
                    && record.lease_end > Moment::BEGINNING
                    && record.lease_end <= now
            })
            .map(|(instance, _)| *instance)
            .collect();
        for instance in vanished {
            self.blame(now, instance);
        }
        self.records
            .retain(|_, record| record.connections > 0 || now.since(record.heard) < HEARD_OF || now < record.lease_end);
        self.penalties.forget(now);
    }

    /// The position up to which nobody with a running lease holds anything up: who waits for a later one may look
    /// again when this has moved.
    pub fn settled(&self, now: Moment, head: u64) -> u64 {
        let leased = self.records.values().filter(|record| now < record.lease_end);
        leased.map(Record::knows).min().unwrap_or(head)
    }

    /// Whether every instance that was heard of lately has acknowledged `seq`; those that have not.
    pub fn not_acked(&self, now: Moment, seq: u64) -> Vec<FollowerState> {
        self.list(now).into_iter().filter(|state| state.acked < seq).collect()
    }

    /// Everybody who was heard of lately and has not said goodbye.
    pub fn list(&self, now: Moment) -> Vec<FollowerState> {
        let state = |(instance, record): (&Instance, &Record)| FollowerState {
            follower: record.follower.clone(),
            instance: *instance,
            connected_at: record.connected_at,
            is_connected: record.connections > 0,
            acked: record.acked,
            lease_left: record.lease_end.since(now),
            lag: record.behind_since.map_or(Duration::ZERO, |since| now.since(since)),
            cache: record.cache,
        };
        self.records.iter().filter(|(_, record)| record.is_current(now)).map(state).collect()
    }
}

impl Record {
    /// The position that no decision under a running lease is without: acknowledged, or the head of the first of the
    /// leases that run, each of which is of use only once its head is applied.
    pub(super) fn knows(&self) -> u64 {
        self.acked.max(self.granted_head)
    }

    /// Whether it belongs in lists: not released, and connected or heard of lately.
    pub(super) fn is_current(&self, now: Moment) -> bool {
        !self.released && (self.connections > 0 || now.since(self.heard) < HEARD_OF)
    }
}
