//! The verifier: told once whose tokens it takes and for whom they have to be, then asked for each request.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::check::{CheckItem, CheckVerdict, OnlineCheck};
use crate::clock::{Clock, SystemClock};
use crate::decision::{By, Class, Demand, Grants, PastBound, Permit, Refusal, Report};
use crate::feed::{Drift, EndpointDecision, Judgement, Outcome, Question, View};
use crate::jose::KeyRing;
use crate::mutant;
use crate::reason::Reason;
use crate::secret::RawToken;
use crate::token::{Profile, VerifiedToken, verify_access_token};

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
    past_bound: PastBound,
    debug_headers: bool,
    clock: Arc<dyn Clock>,
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
        NeedsIssuer(())
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
        &*self.0.clock
    }

    /// Decides on a token.
    ///
    /// # Errors
    /// The first reason that applies: of the token itself, then of what is known against it, then "cannot tell", then
    /// a missing permission.
    pub async fn decide(&self, raw: &RawToken, demand: &Demand) -> Result<Permit, Refusal> {
        let token = self.verify(raw).await?;
        let (grants, report) = self.judge(&token, demand).await?;
        Ok(Permit { verified: token, raw: raw.clone(), grants, report })
    }

    /// Asks again about a caller who was let in: for the moment at which something takes effect.
    ///
    /// # Errors
    /// As [`Verifier::decide`].
    pub async fn decide_again(&self, permit: &Permit, demand: &Demand) -> Result<Report, Refusal> {
        self.check_end(&permit.verified, self.0.clock.unix_seconds())?;
        self.judge(&permit.verified, demand).await.map(|(_, report)| report)
    }

    /// Signature, claims and times.
    async fn verify(&self, raw: &RawToken) -> Result<VerifiedToken, Reason> {
        let now = self.0.clock.unix_seconds();
        let with = |ring: &KeyRing| verify_access_token(raw.expose(), ring, &self.0.profile, now);
        let token = match &self.0.state {
            State::View { view, audience } => {
                let ring = view.ring(*audience).unwrap_or_default();
                // A key signs only once every verifier that is heard of has it: a view that is fresh lacks none.
                with(&ring).map_err(|reason| match reason {
                    Reason::KidUnknown if !self.is_fresh(view) => Reason::KidUnavailable,
                    reason => reason,
                })
            }
            State::Keys(keys) => match keys.ring().await.map(|ring| with(&ring)) {
                Ok(Err(Reason::KidUnknown)) => keys.look_again().await.map_or_else(Err, |ring| with(&ring)),
                Ok(verified) => verified,
                Err(reason) => Err(reason),
            },
        }?;
        self.check_end(&token, now)?;
        Ok(token)
    }

    /// Whatever our own clock says, what the floor has passed is expired.
    fn check_end(&self, token: &VerifiedToken, now: u64) -> Result<(), Reason> {
        crate::token::check_expiry(token.claims(), &self.0.profile, now)?;
        match &self.0.state {
            State::View { view, .. } if token.claims().exp <= view.floor() && !mutant!(NoFloor) => Err(Reason::ExpPast),
            _ => Ok(()),
        }
    }

    fn is_fresh(&self, view: &View) -> bool {
        let now = self.0.clock.moment();
        view.age(now) <= self.0.drift.shorten(self.0.max_staleness)
    }

    /// State and permissions.
    async fn judge(&self, token: &VerifiedToken, demand: &Demand) -> Result<(Grants, Report), Refusal> {
        let State::View { view, audience } = &self.0.state else { return self.judge_without_view(token, demand).await };
        let keys = view.keys_of(token).ok_or(Reason::AudWrong)?;
        let permission = demand.permission.as_deref();
        let question = Question { token: &keys, roles: &token.claims().roles, permission };
        let outcome = EndpointDecision::run(view, question, &*self.0.clock);
        let by_memory = if outcome.standing.is_leased { By::Lease } else { By::Memory };
        let report = report(demand.class, by_memory, &outcome);
        let refuse = |reason| Err(Refusal { reason, report: Some(report) });
        match outcome.judgement {
            Judgement::Refused => return refuse(Reason::Revoked),
            Judgement::Stale => return refuse(Reason::Stale),
            Judgement::Good => {}
        }
        match self.may_tell(demand, &outcome) {
            Tell::FromMemory if !outcome.permitted => refuse(Reason::PermissionMissing),
            Tell::FromMemory => Ok((Grants::Table(view.policy(*audience).unwrap_or_default()), report)),
            Tell::Online => self.ask(token, demand).await,
            Tell::Not => refuse(Reason::TooOld),
        }
    }

    /// Whether memory is good enough for the endpoint's class.
    fn may_tell(&self, demand: &Demand, outcome: &Outcome) -> Tell {
        match demand.class {
            Class::Elite if outcome.standing.is_leased => Tell::FromMemory,
            Class::Elite => Tell::Online,
            Class::Ordinary if outcome.standing.is_fresh(self.0.max_staleness, self.0.drift) => Tell::FromMemory,
            Class::Ordinary => match demand.past_bound.unwrap_or(self.0.past_bound) {
                PastBound::Refuse => Tell::Not,
                PastBound::Online => Tell::Online,
                PastBound::Serve => Tell::FromMemory,
            },
        }
    }

    /// Without a view an ordinary endpoint has the token alone; what a role permits, only the authority knows.
    async fn judge_without_view(&self, token: &VerifiedToken, demand: &Demand) -> Result<(Grants, Report), Refusal> {
        if demand.class == Class::Elite || demand.permission.is_some() {
            return self.ask(token, demand).await;
        }
        let grants = Grants::Current { roles: token.claims().roles.clone(), permissions: Vec::new() };
        Ok((grants, Report { class: demand.class, by: By::Memory, as_of_seq: token.claims().epoch, age_ms: 0 }))
    }

    /// Current state, from whoever knows it.
    async fn ask(&self, token: &VerifiedToken, demand: &Demand) -> Result<(Grants, Report), Refusal> {
        let check = self.0.check.as_ref().ok_or(Reason::CheckUnavailable)?;
        let asked_at = self.0.clock.moment();
        let reply = check.check(vec![CheckItem::of(token)]).await.map_err(|error| {
            tracing::warn!(%error, "current state cannot be had");
            Reason::CheckUnavailable
        })?;
        let age_ms = millis(self.0.clock.moment().since(asked_at));
        let report = Report { class: demand.class, by: By::Online, as_of_seq: reply.as_of_seq, age_ms };
        let refuse = |reason| Err(Refusal { reason, report: Some(report) });
        match reply.answers.into_iter().next() {
            None => Err(Reason::CheckUnavailable.into()),
            Some(CheckVerdict::Refused) => refuse(Reason::Revoked),
            Some(CheckVerdict::Stale) => refuse(Reason::Stale),
            Some(CheckVerdict::Good { roles, permissions }) => {
                let lacks = demand.permission.as_deref().is_some_and(|wanted| !crate::permits(&permissions, wanted));
                if lacks {
                    refuse(Reason::PermissionMissing)
                } else {
                    Ok((Grants::Current { roles, permissions }, report))
                }
            }
        }
    }
}

enum Tell {
    FromMemory,
    Online,
    Not,
}

fn report(class: Class, by: By, outcome: &Outcome) -> Report {
    Report { class, by, as_of_seq: outcome.standing.as_of_seq, age_ms: millis(outcome.standing.age) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A builder that lacks the issuer.
#[derive(Debug)]
pub struct NeedsIssuer(());

/// A builder that lacks the audience.
#[derive(Debug)]
pub struct NeedsAudience(String);

/// A builder that lacks a source of keys.
#[derive(Debug)]
pub struct NeedsKeys(Profile);

/// A builder that has what it needs.
pub struct Builder(Inner);

impl NeedsIssuer {
    /// The one issuer (`iss`), compared exactly.
    pub fn issuer(self, issuer: impl Into<String>) -> NeedsAudience {
        NeedsAudience(issuer.into())
    }
}

impl NeedsAudience {
    /// Our own service id (`aud`), compared exactly.
    pub fn audience(self, audience: impl Into<String>) -> NeedsKeys {
        NeedsKeys(Profile { issuer: self.0, audience: audience.into(), leeway: Duration::from_secs(5) })
    }
}

impl NeedsKeys {
    /// Keys alone: revocations are seen by elite endpoints only, and only with [`Builder::check`].
    pub fn keys(self, keys: KeySource) -> Builder {
        self.with(State::Keys(keys))
    }

    /// Keys, policies and revocations from a view that somebody keeps up to date.
    ///
    /// # Panics
    /// When the view is not of this audience.
    #[expect(
        clippy::expect_used,
        reason = "a verifier of an audience that its feed does not have is a mistake in code"
    )]
    pub fn view(self, view: Arc<View>) -> Builder {
        let audience = view.audience(&self.0.audience).expect("the feed follows this audience");
        self.with(State::View { view, audience })
    }

    /// Keys, policies, revocations, leases and online checks, all from the authority's feed.
    ///
    /// # Panics
    /// When the feed does not follow this audience.
    #[cfg(feature = "grpc")]
    pub fn feed(self, feed: &crate::feed::Feed) -> Builder {
        let mut builder = self.view(Arc::clone(feed.view()));
        builder.0.drift = feed.drift();
        builder.check(Arc::new(feed.client().clone()))
    }

    fn with(self, state: State) -> Builder {
        Builder(Inner {
            profile: self.0,
            state,
            check: None,
            max_staleness: Duration::from_secs(5),
            drift: Drift::default(),
            past_bound: PastBound::default(),
            debug_headers: false,
            clock: Arc::new(SystemClock),
        })
    }
}

impl Builder {
    /// Whom to ask about current state. Without one, what needs it is answered 503.
    #[must_use]
    pub fn check(mut self, check: Arc<dyn OnlineCheck>) -> Self {
        self.0.check = Some(check);
        self
    }

    /// How far wall clocks may differ, for `exp`, `nbf` and `iat`; 5 s by default.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.0.profile.leeway = leeway;
        self
    }

    /// How old the view may be for an ordinary endpoint; 5 s by default.
    #[must_use]
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.0.max_staleness = bound;
        self
    }

    /// What ordinary endpoints do past that bound, unless their route says otherwise.
    #[must_use]
    pub fn past_bound(mut self, policy: PastBound) -> Self {
        self.0.past_bound = policy;
        self
    }

    /// Tells in each answer how its decision came about (`Propusk-Decision`).
    #[must_use]
    pub fn debug_headers(mut self, on: bool) -> Self {
        self.0.debug_headers = on;
        self
    }

    /// Other clocks than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// The verifier.
    pub fn build(self) -> Verifier {
        Verifier(Arc::new(self.0))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}

/// Where a verifier that follows no feed has its keys from.
#[derive(Clone)]
pub struct KeySource(Source);

#[derive(Clone)]
enum Source {
    Shared(Arc<ArcSwap<KeyRing>>),
    #[cfg(feature = "http")]
    Url(Arc<crate::http_client::JwksUrl>),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Source::Shared(_) => "KeySource::Shared",
            #[cfg(feature = "http")]
            Source::Url(_) => "KeySource::Url",
        })
    }
}

impl KeySource {
    /// Keys that never change.
    pub fn fixed(ring: KeyRing) -> Self {
        Self::shared(Arc::new(ArcSwap::from_pointee(ring)))
    }

    /// Keys that somebody else keeps up to date.
    pub fn shared(ring: Arc<ArcSwap<KeyRing>>) -> Self {
        Self(Source::Shared(ring))
    }

    /// A JWK Set at a URL (RFC 7517), fetched at first use and again when it has aged, or, at most every 30 s, when a
    /// token names a key that is not in it. Keys that are known are kept while it cannot be fetched.
    ///
    /// # Errors
    /// When the text is no `http` or `https` URL.
    #[cfg(feature = "http")]
    pub fn jwks_url(url: &str) -> Result<Self, crate::exchange::UrlError> {
        crate::http_client::JwksUrl::new(url).map(|source| Self(Source::Url(Arc::new(source))))
    }

    async fn ring(&self) -> Result<Arc<KeyRing>, Reason> {
        match &self.0 {
            Source::Shared(ring) => Ok(ring.load_full()),
            #[cfg(feature = "http")]
            Source::Url(url) => url.ring().await.ok_or(Reason::KidUnavailable),
        }
    }

    /// A key is missing: fetches again if that is not too much to ask.
    #[cfg_attr(not(feature = "http"), expect(clippy::unused_async, reason = "only a URL is waited for"))]
    async fn look_again(&self) -> Result<Arc<KeyRing>, Reason> {
        match &self.0 {
            Source::Shared(_) => Err(Reason::KidUnknown),
            #[cfg(feature = "http")]
            Source::Url(url) => url.look_again().await,
        }
    }
}
