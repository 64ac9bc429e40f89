//! The life of the keys of one ring, without IO: a function of the stored rows, of what this process knows, and of time.
//!
//! `staged` → `active` → `retiring` → gone. A ring has one key that signs and one that is staged. A rotation *promotes*
//! the staged key; it takes over by itself once nobody is left who could lack it:
//! - every verifier that was heard of lately has acknowledged the event that told of it. That its lease ended is not
//!   enough: it would wake up with a good token and no key for it;
//! - those who fetch key sets have fetched one with it, for older ones are not to be used any more;
//! - the process has run long enough to have heard of every verifier.
//!
//! So a verifier whose view is fresh lacks no key that signs. An emergency waits for nobody: the staged key takes over
//! in the transaction that revokes the other.

use std::collections::BTreeMap;
use std::time::Duration;

use propusk_verify::clock::Moment;

use crate::env::Timestamp;
use crate::feed::{FollowerState, Registry};
use crate::id::{Kid, ServiceId};
use crate::store::{KeyState, SealedKey, StoreError, Tx};

/// When keys change their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// So long after the start of a process no key takes over.
    pub settle: Duration,
    /// How long others may keep a key set that they fetched.
    pub max_age: Duration,
    /// How long a key signs before the next one is promoted, where the service has no time of its own; zero is for
    /// ever.
    pub rotate_every: Duration,
}

/// A fetched key set may be as old as this when it arrives.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// Since when this process has published which keys. What a process before it published, and when, is not known.
#[derive(Debug, Clone)]
pub struct Published {
    started: Moment,
    since: BTreeMap<Kid, Moment>,
}

impl Published {
    /// At the start of a process.
    pub fn start(now: Moment) -> Self {
        Self { started: now, since: BTreeMap::new() }
    }

    /// By now these are published, and no others.
    pub fn note(&mut self, now: Moment, kids: impl IntoIterator<Item = Kid>) {
        let before = std::mem::take(&mut self.since);
        let since = |kid: &Kid| before.get(kid).copied().unwrap_or(now);
        self.since = kids.into_iter().map(|kid| (kid.clone(), since(&kid))).collect();
    }
}

/// What a process knows beside the rows.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The wall clock; only the age of a key that signs is measured by it.
    pub wall: Timestamp,
    /// The clock of everything else.
    pub now: Moment,
    /// What is published.
    pub published: &'a Published,
    /// Who follows, and what each has acknowledged.
    pub registry: &'a Registry,
}

/// What has to be done about a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A key has to be made and staged.
    Spare,
    /// The key that signs is old: the staged one is to be promoted.
    Rotation,
    /// The promoted key can take over.
    Activation(Cleared),
}

/// A promoted key that nobody lacks. Only [`Ring::due`] says so; it holds for the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared(Kid);

/// What keeps a promoted key from signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacles {
    /// Verifiers that have not acknowledged it.
    pub waiting_for: Vec<FollowerState>,
    /// It will not sign earlier than this from now, whoever acknowledges.
    pub not_within: Duration,
}

/// The keys of one service, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    service: ServiceId,
    keys: Vec<SealedKey>,
    /// How long a key of this ring signs, if not what the schedule says.
    rotate_every: Option<Duration>,
}

impl Ring {
    /// The ring of one service.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read(tx: &dyn Tx, service: &ServiceId) -> Result<Self, StoreError> {
        Self::of(tx, service.clone(), tx.keys_of(service)?)
    }

    /// Those of all services that have one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_all(tx: &dyn Tx) -> Result<Vec<Self>, StoreError> {
        let mut rings: BTreeMap<ServiceId, Vec<SealedKey>> = BTreeMap::new();
        for key in tx.all_keys()? {
            rings.entry(key.service.clone()).or_default().push(key);
        }
        rings.into_iter().map(|(service, keys)| Self::of(tx, service, keys)).collect()
    }

    fn of(tx: &dyn Tx, service: ServiceId, keys: Vec<SealedKey>) -> Result<Self, StoreError> {
        let own = tx.service(&service)?.and_then(|service| service.rotate_every_s);
        Ok(Self { service, keys, rotate_every: own.map(|seconds| Duration::from_secs(u64::from(seconds))) })
    }

    /// Whose ring it is.
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// All keys, in order of creation.
    pub fn keys(&self) -> &[SealedKey] {
        &self.keys
    }

    fn in_state(&self, state: KeyState) -> Option<&SealedKey> {
        self.keys.iter().find(|key| key.state == state)
    }

    /// The key that signs.
    pub fn active(&self) -> Option<&SealedKey> {
        self.in_state(KeyState::Active)
    }

    /// The one to sign next.
    pub fn staged(&self) -> Option<&SealedKey> {
        self.in_state(KeyState::Staged)
    }

    /// The staged key, if it is to take over.
    pub fn promoted(&self) -> Option<&SealedKey> {
        self.staged().filter(|key| key.promoted_at.is_some())
    }

    /// What has to be done now.
    pub fn due(&self, facts: &Facts<'_>, schedule: &Schedule) -> Option<Due> {
        let Some(staged) = self.staged() else { return Some(Due::Spare) };
        if staged.promoted_at.is_some() {
            let is_cleared = obstacles(staged, facts, schedule) == Obstacles::NONE;
            return is_cleared.then(|| Due::Activation(Cleared(staged.kid.clone())));
        }
        let signs_since = self.active().and_then(|key| key.activated_at)?;
        let every = self.rotate_every.unwrap_or(schedule.rotate_every);
        let is_old = !every.is_zero() && facts.wall.since(signs_since) >= every;
        is_old.then_some(Due::Rotation)
    }

    /// The promoted key as it is stored once it was promoted: none if there is no staged key.
    pub(super) fn promotion(&self, wall: Timestamp) -> Option<SealedKey> {
        let staged = self.staged()?.clone();
        Some(SealedKey { promoted_at: staged.promoted_at.or(Some(wall)), ..staged })
    }

    /// The keys that change when a staged key takes over, in the order in which they are to be stored: there is never
    /// more than one that signs.
    pub(super) fn activation(&self, cleared: &Cleared, wall: Timestamp, ceiling: u64) -> Vec<SealedKey> {
        let Some(next) = self.staged().filter(|key| key.kid == cleared.0) else { return Vec::new() };
        let retired = self.active().map(|key| ended(key, KeyState::Retiring, ceiling));
        retired.into_iter().chain([activated(next, wall)]).collect()
    }

    /// The same when a key is revoked; `None` if it signs and nothing can take its place.
    pub(super) fn revocation(&self, key: &SealedKey, wall: Timestamp, ceiling: u64) -> Option<Vec<SealedKey>> {
        let revoked = ended(key, KeyState::Revoked, ceiling);
        match key.state {
            KeyState::Active => Some(vec![revoked, activated(self.staged()?, wall)]),
            KeyState::Staged | KeyState::Retiring | KeyState::Revoked => Some(vec![revoked]),
        }
    }

    /// The keys that no token needs any more.
    pub(super) fn passed(&self, floor: u64) -> impl Iterator<Item = &SealedKey> {
        self.keys.iter().filter(move |key| key.gone_at_floor().is_some_and(|gone| gone <= floor))
    }
}

fn activated(key: &SealedKey, wall: Timestamp) -> SealedKey {
    SealedKey { state: KeyState::Active, activated_at: Some(wall), ..key.clone() }
}

fn ended(key: &SealedKey, state: KeyState, ceiling: u64) -> SealedKey {
    SealedKey { state, until: Some(ceiling), ..key.clone() }
}

/// So long before its event is forgotten, a revoked key is in no ring any more: whoever stole it signs tokens without
/// an end, and only the event tells them from good ones. Honest tokens under it have ended long before, for the ceiling
/// is further ahead than the longest of them.
const AHEAD_OF_FORGETTING: Duration = Duration::from_secs(600);

impl SealedKey {
    /// The floor of the log, in Unix seconds, that this key is gone at; `None` while it is not to go.
    pub fn gone_at_floor(&self) -> Option<u64> {
        match self.state {
            KeyState::Staged | KeyState::Active => None,
            KeyState::Retiring => self.until,
            KeyState::Revoked => self.until.map(|until| until.saturating_sub(AHEAD_OF_FORGETTING.as_secs())),
        }
    }
}

impl Obstacles {
    const NONE: Self = Self { waiting_for: Vec::new(), not_within: Duration::ZERO };
}

/// What keeps this key from signing.
pub fn obstacles(key: &SealedKey, facts: &Facts<'_>, schedule: &Schedule) -> Obstacles {
    let since = |moment: Moment| facts.now.since(moment);
    let settling = schedule.settle.saturating_sub(since(facts.published.started));
    let fetched = facts.published.since.get(&key.kid).map_or(Duration::ZERO, |moment| since(*moment));
    let fetching = schedule.max_age.saturating_add(ON_ITS_WAY).saturating_sub(fetched);
    // What no event told of, nobody has acknowledged.
    let seq = key.published_seq.unwrap_or(u64::MAX);
    Obstacles { waiting_for: facts.registry.not_acked(facts.now, seq), not_within: settling.max(fetching) }
}

#[cfg(test)]
mod tests;
