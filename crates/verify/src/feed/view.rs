//! What a verifier holds in memory, shared by everything that decides.

use std::sync::Arc;
use std::time::Duration;

use super::index::{Index, KeyHash, Kind};
use super::message::{Change, Event, PolicyTable};
use super::recent::{Marks, Recent};
use crate::clock::Moment;
use crate::jose::KeyRing;
use crate::mutant;
use crate::sync::{AtomicU64, Mutex, Ordering, Published};
use crate::token::VerifiedToken;

/// Revocations, key rings and policies, and how old all that is.
///
/// One follower writes, any number of decisions read. The follower publishes in one order (index, ring and table; then
/// the generation; then `applied`; then the lease), decisions load in the opposite one.
pub struct View {
    pub(super) index: Index,
    recent: Recent,
    audiences: Vec<Audience>,
    /// The newest `all_changed{*}`.
    all_changed: AllChanged,
    floor: AtomicU64,
    generation: AtomicU64,
    applied: AtomicU64,
    fresh_as_of: AtomicU64,
    lease_end: AtomicU64,
}

/// What concerns one audience only.
struct Audience {
    id: String,
    /// The newest `all_changed` of this audience.
    changed: AllChanged,
    ring: Newest<KeyRing>,
    policy: Newest<PolicyTable>,
}

impl Audience {
    fn changed(&self) -> u64 {
        self.changed.load()
    }

    fn has_key(&self, kid: &str) -> bool {
        self.ring.value.load().get(kid).is_some()
    }
}

/// The position of an `all_changed`. Where the log went back, the highest one is of the lost part, and would make every
/// token of the new one stale; it holds until a snapshot is whole that tells which one there is now.
struct AllChanged {
    newest: AtomicU64,
    /// The newest since the log went back.
    anew: AtomicU64,
}

impl AllChanged {
    fn new() -> Self {
        Self { newest: AtomicU64::new(0), anew: AtomicU64::new(0) }
    }

    fn load(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    fn put(&self, seq: u64) {
        self.newest.fetch_max(seq, Ordering::Release);
        self.anew.fetch_max(seq, Ordering::Release);
    }

    fn begin_anew(&self) {
        self.anew.store(0, Ordering::Release);
    }

    fn go_on_anew(&self) {
        self.newest.store(self.anew.load(Ordering::Acquire), Ordering::Release);
    }

    fn fork(&self) -> Self {
        let copied = |cell: &AtomicU64| AtomicU64::new(cell.load(Ordering::Acquire));
        Self { newest: copied(&self.newest), anew: copied(&self.anew) }
    }
}

/// The value with the highest `seq`.
struct Newest<T> {
    value: Published<T>,
    seq: Mutex<u64>,
}

impl<T: Default> Newest<T> {
    fn new() -> Self {
        Self { value: Published::new(T::default()), seq: Mutex::new(0) }
    }

    fn offer(&self, seq: u64, value: &Arc<T>) {
        let mut newest = self.seq.lock();
        if seq > *newest {
            *newest = seq;
            self.value.store(Arc::clone(value));
        }
    }

    /// Whatever comes next is taken, for positions count anew. What is there holds until then.
    fn expect_anew(&self) {
        *self.seq.lock() = 0;
    }

    fn fork(&self) -> Self {
        let seq = self.seq.lock();
        let copy = Self::new();
        copy.value.store(Arc::clone(&self.value.load()));
        *copy.seq.lock() = *seq;
        copy
    }
}

/// What state says of a token whose signature, issuer, audience and times were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// Nothing hits it.
    Good,
    /// It ends at or before the floor, so what hits it may be forgotten.
    Expired,
    /// It, its session, its subject, client or an actor was revoked, disabled or signed out.
    Refused,
    /// Something changed since it was minted.
    Stale,
    /// The key that signed it is not in the ring any more.
    KeyGone,
}

/// What of a token the index is asked for, hashed once. What is read even where the index is not comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct TokenKeys {
    exp: u64,
    audience: usize,
    marks: Marks,
    sought: Box<Sought>,
}

/// What is looked for in the index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sought {
    hits: Vec<(Hit, KeyHash)>,
    epoch: u64,
    /// The key's name, of a token that has a signature.
    kid: Option<Arc<str>>,
}

/// What an entry of the index does to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// The token or its session: refused.
    Revoked,
    /// Subject, client or an actor: refused, if it is newer than the token's epoch.
    Ended,
    /// Subject or an actor: stale, if it is newer than the token's epoch.
    Changed,
    /// The key: stale.
    Key,
}

impl View {
    /// An empty view, of these audiences.
    pub fn new(audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::with_index(Index::new(), audiences)
    }

    /// One that behaves the same in every run, for models and simulations.
    pub fn predictable(audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::with_index(Index::predictable(), audiences)
    }

    fn with_index(index: Index, audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let audience =
            |id: String| Audience { id, changed: AllChanged::new(), ring: Newest::new(), policy: Newest::new() };
        let zero = || AtomicU64::new(0);
        Self {
            index,
            recent: Recent::new(),
            audiences: audiences.into_iter().map(Into::into).map(audience).collect(),
            all_changed: AllChanged::new(),
            floor: zero(),
            generation: zero(),
            applied: zero(),
            fresh_as_of: zero(),
            lease_end: zero(),
        }
    }

    /// A copy of its own, for models, which go on from one state in many ways.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copied = |cell: &AtomicU64| AtomicU64::new(cell.load(Ordering::Acquire));
        let audience = |audience: &Audience| Audience {
            id: audience.id.clone(),
            changed: audience.changed.fork(),
            ring: audience.ring.fork(),
            policy: audience.policy.fork(),
        };
        Self {
            index: self.index.fork(),
            recent: self.recent.fork(),
            audiences: self.audiences.iter().map(audience).collect(),
            all_changed: self.all_changed.fork(),
            floor: copied(&self.floor),
            generation: copied(&self.generation),
            applied: copied(&self.applied),
            fresh_as_of: copied(&self.fresh_as_of),
            lease_end: copied(&self.lease_end),
        }
    }

    /// Everything that decisions depend on but rings and tables, in a form that compares and hashes; for models.
    pub fn digest(&self) -> Vec<u64> {
        let mut digest = vec![
            self.all_changed.load(),
            self.floor(),
            self.generation(),
            self.applied(),
            self.fresh_as_of().as_nanos(),
            self.lease_end().as_nanos(),
        ];
        for audience in &self.audiences {
            digest.extend([audience.changed(), *audience.ring.seq.lock(), *audience.policy.seq.lock()]);
        }
        digest.extend(self.recent.digest());
        for (key, seq, until) in self.index.entries() {
            digest.extend([key, seq, u64::from(until)]);
        }
        digest
    }

    /// The audiences, as they were given.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.audiences.iter().map(|audience| audience.id.as_str())
    }

    /// The number of an audience; `None` if it is not one of this view's.
    pub fn audience(&self, id: &str) -> Option<usize> {
        self.audiences.iter().position(|audience| audience.id == id)
    }

    /// The keys of an audience, by its number.
    pub fn ring(&self, audience: usize) -> Option<Arc<KeyRing>> {
        self.audiences.get(audience).map(|audience| Arc::clone(&audience.ring.value.load()))
    }

    /// The policy table of an audience, by its number.
    pub fn policy(&self, audience: usize) -> Option<Arc<PolicyTable>> {
        self.audiences.get(audience).map(|audience| Arc::clone(&audience.policy.value.load()))
    }

    /// Unix seconds: a token that ends by then is expired, whatever our own clock says.
    pub fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// How many events have come into the index, as far as that was published.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Every event up to here is in the index.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The view contains everything that was committed by then. [`Moment::BEGINNING`] while nothing is known.
    pub fn fresh_as_of(&self) -> Moment {
        Moment::from_nanos(self.fresh_as_of.load(Ordering::Acquire))
    }

    /// Until when elite endpoints may be decided from memory.
    pub fn lease_end(&self) -> Moment {
        Moment::from_nanos(self.lease_end.load(Ordering::Acquire))
    }

    /// How many events are held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no event is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the index is to be asked for about a token; `None` if its audience is not one of this view's.
    pub fn keys_of(&self, token: &VerifiedToken) -> Option<TokenKeys> {
        let claims = token.claims();
        let actors: Vec<&str> = claims.actors().collect();
        let parts = TokenParts {
            aud: &claims.aud,
            jti: &claims.jti,
            sid: claims.sid.as_deref(),
            sub: &claims.sub,
            client_id: &claims.client_id,
            actors: &actors,
            epoch: claims.epoch,
            exp: claims.exp,
            kid: token.kid(),
        };
        let mut keys = self.keys_of_parts(&parts)?;
        keys.sought.kid = Some(Arc::clone(token.shared_kid()));
        Some(keys)
    }

    /// The same for claims that are known to be good; models and simulations have no signatures.
    pub fn keys_of_parts(&self, token: &TokenParts<'_>) -> Option<TokenKeys> {
        let hash = |kind, id: &str| self.index.hash(kind, id);
        let actors = || token.actors.iter().copied();
        let audience = self.audience(token.aud)?;
        let mut hits = Vec::with_capacity(6 + 2 * token.actors.len());
        hits.push((Hit::Revoked, hash(Kind::Token, token.jti)));
        hits.extend(token.sid.map(|sid| (Hit::Revoked, hash(Kind::Session, sid))));
        hits.push((Hit::Ended, hash(Kind::SubjectEnded, token.client_id)));
        for id in std::iter::once(token.sub).chain(actors()) {
            hits.push((Hit::Ended, hash(Kind::SubjectEnded, id)));
            hits.push((Hit::Changed, hash(Kind::SubjectChanged, id)));
        }
        hits.push((Hit::Key, hash(Kind::Key, token.kid)));
        let marks = Marks::of(hits.iter().map(|(_, key)| *key));
        let sought = Box::new(Sought { hits, epoch: token.epoch, kid: None });
        Some(TokenKeys { exp: token.exp, audience, marks, sought })
    }

    /// Reads the index, then the floor: an event that was forgotten before the index was read is below the floor that
    /// is read afterwards, and so is the end of every token that it hit. A known "no" comes first: refused beats stale.
    pub fn judge(&self, token: &TokenKeys) -> Judgement {
        let found = self.look_up(token);
        if token.exp <= self.floor() && !mutant!(NoFloor) { Judgement::Expired } else { found }
    }

    /// Whether it is certain that a token that was found good in one generation would be found good in a later one.
    #[inline(always)]
    pub(super) fn still_passes(&self, token: &TokenKeys, from: u64, to: u64) -> bool {
        from == to || self.recent.all_pass(from, to, &token.marks)
    }

    /// The same for a token that is known to pass: only the floor can have moved.
    pub(super) fn judge_stamped(&self, token: &TokenKeys) -> Judgement {
        if token.exp <= self.floor() && !mutant!(NoFloor) { Judgement::Expired } else { Judgement::Good }
    }

    fn look_up(&self, token: &TokenKeys) -> Judgement {
        let index = self.index.read();
        let (audience, epoch) = (self.audiences.get(token.audience), token.sought.epoch);
        let mut is_stale = false;
        for (hit, key) in &token.sought.hits {
            let Some(seq) = index.get(*key) else { continue };
            match hit {
                Hit::Revoked => return Judgement::Refused,
                Hit::Ended if epoch < seq => return Judgement::Refused,
                Hit::Changed if epoch < seq => is_stale = true,
                Hit::Key => is_stale = true,
                Hit::Ended | Hit::Changed => {}
            }
        }
        let all = self.all_changed.load().max(audience.map_or(0, Audience::changed));
        if is_stale || epoch < all {
            return Judgement::Stale;
        }
        // A key that was revoked leaves the ring before its event is forgotten: a token that was forged with it, and
        // verified and kept while nobody knew, does not come back to life then.
        let kid = token.sought.kid.as_ref();
        if kid.is_some_and(|kid| audience.is_none_or(|audience| !audience.has_key(kid))) {
            return Judgement::KeyGone;
        }
        Judgement::Good
    }

    pub(super) fn put(&self, event: &Event) {
        let insert = |kind, id: &str| {
            let key = self.index.hash(kind, id);
            self.index.insert(key, event.seq, event.until);
            self.recent.push(Some(key));
        };
        let may_concern_anybody = || self.recent.push(None);
        match &event.change {
            Change::TokenRevoked(jti) => insert(Kind::Token, jti),
            Change::SessionRevoked(sid) => insert(Kind::Session, sid),
            Change::SubjectChanged(sub) => insert(Kind::SubjectChanged, sub),
            Change::SubjectEnded(sub) => insert(Kind::SubjectEnded, sub),
            Change::KeyRevoked(kid) => insert(Kind::Key, kid),
            Change::AllChanged(aud) if aud == "*" => {
                self.all_changed.put(event.seq);
                may_concern_anybody();
            }
            Change::AllChanged(aud) => {
                if let Some(audience) = self.named(aud) {
                    audience.changed.put(event.seq);
                }
                may_concern_anybody();
            }
            Change::KeysChanged { aud, ring } => {
                if let Some(audience) = self.named(aud) {
                    audience.ring.offer(event.seq, ring);
                }
                may_concern_anybody();
            }
            Change::PolicyChanged { aud, table } => {
                if let Some(audience) = self.named(aud) {
                    audience.policy.offer(event.seq, table);
                }
            }
        }
    }

    fn named(&self, aud: &str) -> Option<&Audience> {
        self.audiences.iter().find(|audience| audience.id == aud)
    }

    pub(super) fn raise_generation(&self) {
        self.generation.store(self.recent.count(), Ordering::Release);
    }

    pub(super) fn set_applied(&self, to: u64) {
        self.applied.fetch_max(to, Ordering::Release);
    }

    /// Raises the floor and forgets some of what it has passed.
    pub(super) fn raise_floor(&self, floor: u64) {
        let before = self.floor.fetch_max(floor, Ordering::AcqRel);
        if floor > before {
            self.index.sweep(floor);
        }
    }

    pub(super) fn extend(&self, fresh_as_of: Moment, lease_end: Option<Moment>) {
        self.fresh_as_of.fetch_max(fresh_as_of.as_nanos(), Ordering::Release);
        if let Some(end) = lease_end {
            self.lease_end.fetch_max(end.as_nanos(), Ordering::Release);
        }
    }

    /// Gives the lease back: what is decided from now on, and what is being decided, has none.
    pub(super) fn end_lease(&self) {
        self.lease_end.store(0, Ordering::Release);
    }

    /// Gives up what was known about freshness and place in the log: the next batch is a snapshot. Events stay. Rings,
    /// tables and `all_changed` stay until the snapshot brings those that hold now, whose positions are lower than those of
    /// the lost ones.
    pub(super) fn start_afresh(&self) {
        self.end_lease();
        self.fresh_as_of.store(0, Ordering::Release);
        self.applied.store(0, Ordering::Release);
        self.all_changed.begin_anew();
        for audience in &self.audiences {
            audience.changed.begin_anew();
            audience.ring.expect_anew();
            audience.policy.expect_anew();
        }
    }

    /// The first snapshot after that is whole.
    pub(super) fn go_on_anew(&self) {
        self.all_changed.go_on_anew();
        self.audiences.iter().for_each(|audience| audience.changed.go_on_anew());
    }

    /// How old the view is.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.fresh_as_of())
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("applied", &self.applied()).field("events", &self.len()).finish_non_exhaustive()
    }
}

/// The claims that state judges a token by.
#[derive(Debug, Clone, Copy)]
pub struct TokenParts<'a> {
    /// Whom it is for.
    pub aud: &'a str,
    /// Its id.
    pub jti: &'a str,
    /// Its session.
    pub sid: Option<&'a str>,
    /// Whom it speaks for.
    pub sub: &'a str,
    /// Who asked for it.
    pub client_id: &'a str,
    /// Who acts, outermost first.
    pub actors: &'a [&'a str],
    /// The head of the log that it was minted from.
    pub epoch: u64,
    /// Its end, Unix seconds.
    pub exp: u64,
    /// The key that signed it.
    pub kid: &'a str,
}

impl TokenKeys {
    /// Those of a token that no view is asked about.
    pub(crate) fn without_view(exp: u64) -> Self {
        Self { exp, audience: usize::MAX, marks: Marks::default(), sought: Box::default() }
    }

    /// The end of the token, Unix seconds.
    pub fn exp(&self) -> u64 {
        self.exp
    }

    /// The number of the audience in its view.
    pub fn audience(&self) -> usize {
        self.audience
    }
}
