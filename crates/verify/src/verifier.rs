//! The verifier: told once whose tokens it takes and for whom they have to be, then asked for each request.

mod builder;
mod key_source;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Cache, CacheStats};
use crate::check::{CheckItem, CheckVerdict, OnlineCheck};
use crate::clock::{Clock, Clocks, Moment};
use crate::decision::{By, Class, Current, Demand, PastBound, Permit, Refusal, Report};
use crate::feed::{Drift, EndpointDecision, Judgement, Outcome, Question, TokenKeys, View};
use crate::jose::KeyRing;
use crate::known::{Held, KnownToken};
use crate::mutant;
use crate::reason::Reason;
use crate::token::{Profile, VerifiedToken, check_expiry, verify_access_token};

pub use self::builder::{Builder, NeedsAudience, NeedsIssuer, NeedsKeys};
#[cfg(feature = "http")]
pub use self::key_source::JwksUrlError;
pub use self::key_source::KeySource;

/// Decides on access tokens for one audience. Cheap to clone; all clones share what is in memory.
///
/// ```
/// # async fn example(ring: propusk_verify::jose::KeyRing, raw: propusk_verify::RawToken) {
/// use propusk_verify::{Demand, KeySource, Verifier};
/// let verifier = Verifier::builder()
///     .issuer("https://id.example.com")
///     .audience("cars")
///     .keys(KeySource::fixed(ring))
///     .build();
/// match verifier.decide(&raw, &Demand::ordinary()).await {
///     Ok(permit) => println!("{} may come in", permit.claims().sub),
///     Err(refusal) => println!("{}", refusal.verdict()),
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    profile: Profile,
    state: State,
    check: Option<Arc<dyn OnlineCheck>>,
    max_staleness: Duration,
    drift: Drift,
    /// The first, shortened by the second, in nanoseconds.
    fresh_for_ns: u64,
    past_bound: PastBound,
    debug_headers: bool,
    cache: Cache<KnownToken>,
    clock: Clocks,
}

/// Where keys and revocations come from.
enum State {
    /// Both from the feed.
    View { view: Arc<View>, audience: usize },
    /// Keys alone.
    Keys(KeySource),
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Begins with the issuer, then the audience, then where keys come from: none of them has a default.
    pub fn builder() -> NeedsIssuer {
        NeedsIssuer::new()
    }

    /// The audience whose tokens it takes.
    pub fn audience(&self) -> &str {
        &self.0.profile.audience
    }

    /// Whose tokens it takes, for whom, and with how much leeway.
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// Whether answers tell how they came about (`Propusk-Decision`).
    pub fn debug_headers(&self) -> bool {
        self.0.debug_headers
    }

    /// What is in memory, where a feed is followed.
    pub fn view(&self) -> Option<&Arc<View>> {
        match &self.0.state {
            State::View { view, .. } => Some(view),
            State::Keys(_) => None,
        }
    }

    /// The clocks that it decides by.
    pub fn clock(&self) -> &dyn Clock {
        self.0.clock.get()
    }

    /// Decides on a token.
    ///
    /// # Errors
    /// The first reason that applies: of the token itself, then of what is known against it, then "cannot tell", then
    /// a missing permission.
    pub async fn decide(&self, raw: impl AsRef<str>, demand: &Demand) -> Result<Permit, Refusal> {
        let raw = raw.as_ref();
        let known = match self.look_up(raw) {
            Some(known) => known,
            None => match &self.0.state {
                State::View { view, audience } => self.verify_by_view(raw, view, *audience)?,
                State::Keys(keys) => Box::pin(self.verify_by_keys(raw, keys)).await?,
            },
        };
        match self.by_memory(&known, demand) {
            Some(Ok(report)) => Ok(Permit { known, current: None, report }),
            Some(Err(refusal)) => Err(refusal),
            None => Box::pin(self.ask(known, demand)).await,
        }
    }

    /// Decides on a token that was seen before, if memory is enough for that; `None` if it is not. For those who have
    /// no asynchronous runtime, or cannot wait.
    pub fn decide_now(&self, raw: &str, demand: &Demand) -> Option<Result<Permit, Refusal>> {
        let known = self.look_up(raw)?;
        let decided = self.by_memory(&known, demand)?;
        Some(decided.map(|report| Permit { known, current: None, report }))
    }

    /// Asks again about a caller who was let in: for the moment at which something takes effect.
    ///
    /// # Errors
    /// As [`Verifier::decide`].
    pub async fn decide_again(&self, permit: &Permit, demand: &Demand) -> Result<Report, Refusal> {
        match self.by_memory_again(permit, demand) {
            Some(decided) => decided,
            None => self.ask(permit.known.clone(), demand).await.map(|permit| permit.report),
        }
    }

    /// Nothing, if the permit is of a verifier that has another view.
    fn by_memory_again(&self, permit: &Permit, demand: &Demand) -> Option<Result<Report, Refusal>> {
        let is_ours = match (self.view(), permit.known.view()) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        is_ours.then(|| self.by_memory(&permit.known, demand)).flatten()
    }

    /// What the cache of verified tokens has done.
    pub fn cache_stats(&self) -> CacheStats {
        self.0.cache.stats()
    }

    /// A token that was verified before. It may have ended since.
    #[inline(always)]
    fn look_up(&self, raw: &str) -> Option<Held> {
        self.0.cache.get(raw).map(Held::Found)
    }

    /// Signature, claims and times.
    fn verify(&self, raw: &str, ring: &KeyRing) -> Result<VerifiedToken, Reason> {
        verify_access_token(raw, ring, &self.0.profile, self.0.clock.unix_seconds())
    }

    fn verify_by_view(&self, raw: &str, view: &Arc<View>, audience: usize) -> Result<Held, Reason> {
        let ring = view.ring(audience).unwrap_or_default();
        // A key signs only once every verifier that is heard of has it: a view that is fresh lacks none.
        let verified = self.verify(raw, &ring).map_err(|reason| match reason {
            Reason::KidUnknown if !self.is_fresh(view) => Reason::KidUnavailable,
            reason => reason,
        })?;
        let keys = view.keys_of(&verified).ok_or(Reason::AudWrong)?;
        let known = KnownToken::new(raw, verified, keys, Some(Arc::clone(view)));
        self.0.cache.insert(raw, Arc::clone(&known));
        Ok(Held::Own(known))
    }

    /// Here a key can go without a word, so nothing is taken from a cache.
    async fn verify_by_keys(&self, raw: &str, keys: &KeySource) -> Result<Held, Reason> {
        let verified = match self.verify(raw, &*keys.ring().await?) {
            Err(Reason::KidUnknown) => self.verify(raw, &*keys.look_again().await?),
            verified => verified,
        }?;
        let keys = TokenKeys::without_view(verified.claims().exp);
        Ok(Held::Own(KnownToken::new(raw, verified, keys, None)))
    }

    fn is_fresh(&self, view: &View) -> bool {
        let now = self.0.clock.moment();
        view.fresh_as_of() > Moment::BEGINNING && now.nanos_since(view.fresh_as_of()) <= self.0.fresh_for_ns
    }

    /// What memory says; `None` if current state has to be asked for.
    #[inline(always)]
    fn by_memory(&self, known: &KnownToken, demand: &Demand) -> Option<Result<Report, Refusal>> {
        match &self.0.state {
            State::View { view, .. } => self.by_view(view, known, demand),
            State::Keys(_) => self.by_token_alone(known, demand),
        }
    }

    /// Without a feed an ordinary endpoint has the token alone; what a role permits, only the authority knows.
    fn by_token_alone(&self, known: &KnownToken, demand: &Demand) -> Option<Result<Report, Refusal>> {
        if let Err(reason) = check_expiry(known.keys.exp(), &self.0.profile, self.0.clock.unix_seconds()) {
            return Some(Err(reason.into()));
        }
        let needs_state = demand.class == Class::Elite || demand.permission.is_some();
        let as_of_seq = known.verified().claims().epoch;
        (!needs_state).then_some(Ok(Report { class: demand.class, by: By::Memory, as_of_seq, age_ms: 0 }))
    }

    #[inline(always)]
    fn by_view(&self, view: &View, known: &KnownToken, demand: &Demand) -> Option<Result<Report, Refusal>> {
        let question = Question {
            token: &known.keys,
            roles: &known.verified().claims().roles,
            permission: demand.permission.as_deref(),
            stamp: Some(&known.stamp),
        };
        let wall = Cell::new(0);
        let outcome = EndpointDecision::run(view, question, || {
            let (moment, unix_seconds) = match demand.class {
                Class::Elite => self.0.clock.exact(),
                Class::Ordinary => self.0.clock.coarse(),
            };
            wall.set(unix_seconds);
            moment
        });
        // What an ordinary decision goes by is its view's age, whether a lease runs or not.
        let by_memory = match demand.class {
            Class::Elite if outcome.standing.is_leased => By::Lease,
            Class::Elite | Class::Ordinary => By::Memory,
        };
        let report = report(demand.class, by_memory, &outcome);
        let refuse = |reason| Some(Err(Refusal { reason, report: Some(report) }));
        if let Err(reason) = check_expiry(known.keys.exp(), &self.0.profile, wall.get()) {
            return refuse(reason);
        }
        match (outcome.judgement, self.may_tell(demand, &outcome)) {
            (Judgement::Expired, _) => refuse(Reason::ExpPast),
            (Judgement::Refused, _) => refuse(Reason::Revoked),
            (Judgement::Stale, _) => refuse(Reason::Stale),
            (Judgement::KeyGone, _) => refuse(Reason::KidUnknown),
            (Judgement::Good, Tell::FromMemory) if !outcome.permitted => refuse(Reason::PermissionMissing),
            (Judgement::Good, Tell::FromMemory) => Some(Ok(report)),
            (Judgement::Good, Tell::Online) => None,
            (Judgement::Good, Tell::Not) => refuse(Reason::TooOld),
        }
    }

    /// Whether memory is good enough for the endpoint's class.
    #[inline(always)]
    fn may_tell(&self, demand: &Demand, outcome: &Outcome) -> Tell {
        match demand.class {
            Class::Elite if outcome.standing.is_leased => Tell::FromMemory,
            Class::Elite => Tell::Online,
            Class::Ordinary if outcome.standing.is_fresh(self.0.fresh_for_ns) => Tell::FromMemory,
            Class::Ordinary => match demand.past_bound.unwrap_or(self.0.past_bound) {
                PastBound::Refuse => Tell::Not,
                PastBound::Online => Tell::Online,
                PastBound::Serve => Tell::FromMemory,
            },
        }
    }

    /// Current state, from whoever knows it.
    async fn ask(&self, known: Held, demand: &Demand) -> Result<Permit, Refusal> {
        let check = self.0.check.as_ref().ok_or(Reason::CheckUnavailable)?;
        let asked_at = self.0.clock.moment();
        let reply = check.check(vec![CheckItem::of(known.verified())]).await.map_err(|error| {
            tracing::warn!(%error, "current state cannot be had");
            Reason::CheckUnavailable
        })?;
        let age_ms = millis(self.0.clock.moment().since(asked_at));
        let report = Report { class: demand.class, by: By::Online, as_of_seq: reply.as_of_seq, age_ms };
        let refuse = |reason| Err(Refusal { reason, report: Some(report) });
        // Our wall clock may be slow, and what hit the token forgotten where we asked.
        if known.verified().claims().exp <= reply.floor && !mutant!(NoFloor) {
            return refuse(Reason::ExpPast);
        }
        match reply.answers.into_iter().next() {
            None => Err(Reason::CheckUnavailable.into()),
            Some(CheckVerdict::Refused) => refuse(Reason::Revoked),
            Some(CheckVerdict::Stale) => refuse(Reason::Stale),
            Some(CheckVerdict::Good { roles, permissions }) => {
                if demand.permission.as_deref().is_some_and(|wanted| !crate::permits(&permissions, wanted)) {
                    return refuse(Reason::PermissionMissing);
                }
                Ok(Permit { known, current: Some(Box::new(Current { roles, permissions })), report })
            }
        }
    }
}

enum Tell {
    FromMemory,
    Online,
    Not,
}

#[inline(always)]
fn report(class: Class, by: By, outcome: &Outcome) -> Report {
    Report { class, by, as_of_seq: outcome.standing.as_of_seq, age_ms: outcome.standing.age_ns / 1_000_000 }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
