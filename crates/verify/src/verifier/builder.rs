//! What a verifier has to be told, in the order in which it is asked: what must not be forgotten has no default.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, KeySource, State, Verifier};
use crate::cache::{Cache, CacheLimits};
use crate::check::OnlineCheck;
use crate::clock::{Clock, Clocks, Moment};
use crate::decision::PastBound;
use crate::feed::{Drift, View};
use crate::token::Profile;

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
    pub(super) fn new() -> Self {
        Self(())
    }

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
            fresh_for_ns: 0,
            past_bound: PastBound::default(),
            debug_headers: false,
            cache: Cache::new(CacheLimits::default()),
            clock: Clocks::System,
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

    /// How many verified tokens are kept; see [`CacheLimits`] for the default.
    #[must_use]
    pub fn cache(mut self, limits: CacheLimits) -> Self {
        self.0.cache = Cache::new(limits);
        self
    }

    /// Other clocks than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = Clocks::Given(clock);
        self
    }

    /// The verifier.
    pub fn build(mut self) -> Verifier {
        self.0.fresh_for_ns = Moment::BEGINNING.plus(self.0.drift.shorten(self.0.max_staleness)).as_nanos();
        Verifier(Arc::new(self.0))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}
