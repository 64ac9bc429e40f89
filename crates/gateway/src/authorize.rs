//! From a credential to an access token that stands: every kind of credential ends in one, and the gateway decides on
//! it before anything is forwarded.

use std::sync::Arc;

use propusk_verify::decision::Report;
use propusk_verify::{RawToken, Refusal, Verdict};

use crate::authority::{Asker, AuthorityError};
use crate::basic::Entry;
use crate::credential::{Basic, Credential};
use crate::gateway::{Context, Gateway};
use crate::problem::{Problem, Slug};
use crate::routes::Target;
use crate::secret::Secret;
use crate::session::{SessionError, Slot};

/// Let through.
pub(crate) struct Granted {
    /// For the target's audience.
    pub(crate) token: Secret,
    /// How it was decided.
    pub(crate) report: Report,
    /// What another token can be had from.
    pub(crate) held: Option<Held>,
}

/// The session behind a request, kept as long as the request runs.
#[derive(Clone)]
pub(crate) enum Held {
    /// Of a cookie, which knew this generation of it.
    Cookie { slot: Arc<Slot>, generation: u64 },
    /// Of a Basic pair.
    Basic(Arc<Entry>),
}

impl Held {
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        match self {
            Self::Cookie { slot, .. } => slot,
            Self::Basic(entry) => &entry.slot,
        }
    }
}

/// Not let through.
pub(crate) struct Denied {
    pub(crate) problem: Problem,
    /// A person can mend it by signing in.
    pub(crate) sign_in: bool,
    /// The cookie is of no use any more.
    pub(crate) clear_cookie: bool,
}

impl Denied {
    fn plain(problem: Problem) -> Self {
        Self { problem, sign_in: false, clear_cookie: false }
    }

    /// Nobody can tell who this is.
    pub(crate) fn unknown_person(target: &Target, verdict: Verdict) -> Self {
        Self { problem: Problem::from(verdict).realm(&target.audience), sign_in: true, clear_cookie: false }
    }
}

/// Why a session gives no token that stands.
enum NoToken {
    /// It is over.
    Ended,
    /// The token is as it is, and another would be no better.
    Refused(Refusal),
    /// New tokens are refused like the old ones.
    NeverGood,
    /// None could be had.
    Authority(AuthorityError),
}

impl Gateway {
    /// Finds and judges the access token of a request.
    pub(crate) async fn authorize(
        &self,
        context: &Context,
        target: &Target,
        credential: Credential,
    ) -> Result<Granted, Denied> {
        match credential {
            Credential::Bearer(token) => match self.decide(target, &token).await {
                Ok(report) => Ok(Granted { token, report, held: None }),
                Err(refusal) => Err(Denied::plain(self.problem(target, &refusal))),
            },
            Credential::Cookie(value) => self.by_cookie(context, target, &value).await,
            Credential::Basic(basic) => self.by_basic(context, target, &basic).await,
        }
    }

    async fn by_cookie(&self, context: &Context, target: &Target, value: &str) -> Result<Granted, Denied> {
        let Some(session) = self.cookies.open(value) else {
            return Err(Denied::unknown_person(target, Verdict::Invalid));
        };
        let generation = session.generation;
        let slot = self.sessions.attach(session);
        match self.stands(context, target, &slot).await {
            Ok((token, report)) => Ok(Granted { token, report, held: Some(Held::Cookie { slot, generation }) }),
            Err(NoToken::Ended) => {
                Err(Denied { clear_cookie: true, ..Denied::unknown_person(target, Verdict::Refused) })
            }
            Err(other) => Err(Denied::plain(self.no_token(target, other))),
        }
    }

    /// The password is at hand, so a session that has ended is begun anew, once: the authority says who may.
    async fn by_basic(&self, context: &Context, target: &Target, basic: &Basic) -> Result<Granted, Denied> {
        let asker = Asker::of(context, None);
        for _ in 0..2 {
            let entry = self.basic.session(&self.authority, basic, &target.audience, &asker).await;
            let entry = entry
                .map_err(|error| Denied::plain(authority_problem(&error).realm(&target.audience).offer_basic()))?;
            match self.stands(context, target, &entry.slot).await {
                Ok((token, report)) => return Ok(Granted { token, report, held: Some(Held::Basic(entry)) }),
                Err(NoToken::Ended) => {}
                Err(other) => return Err(Denied::plain(self.no_token(target, other))),
            }
        }
        Err(Denied::plain(Problem::from(Verdict::Refused).realm(&target.audience).offer_basic()))
    }

    /// A token of the session that stands. One that does not is replaced once.
    async fn stands(&self, context: &Context, target: &Target, slot: &Arc<Slot>) -> Result<(Secret, Report), NoToken> {
        for _ in 0..2 {
            let token = self.token(context, target, slot).await?;
            let refusal = match self.decide(target, &token).await {
                Ok(report) => return Ok((token, report)),
                Err(refusal) => refusal,
            };
            match refusal.verdict() {
                Verdict::Stale | Verdict::Expired | Verdict::Invalid => slot.discard(&token),
                Verdict::Refused => {
                    if let Some(refresh) = slot.take_end() {
                        self.ended.end(refresh);
                    }
                    return Err(NoToken::Ended);
                }
                _ => return Err(NoToken::Refused(refusal)),
            }
        }
        Err(NoToken::NeverGood)
    }

    async fn token(&self, context: &Context, target: &Target, slot: &Arc<Slot>) -> Result<Secret, NoToken> {
        match slot.token(&self.authority, &target.audience, &context.request_id).await {
            Ok((token, source)) => {
                self.metrics.token(source.name());
                Ok(token)
            }
            Err(SessionError::Ended) => {
                self.metrics.token("ended");
                Err(NoToken::Ended)
            }
            Err(SessionError::Authority(error)) => {
                self.metrics.token("failed");
                Err(NoToken::Authority(error))
            }
        }
    }

    /// After an upstream found a token stale: another one, unless none can be had.
    pub(crate) async fn replace(
        &self,
        context: &Context,
        target: &Target,
        held: &Held,
    ) -> Result<(Secret, Report), Denied> {
        let replaced = self.stands(context, target, held.slot()).await;
        replaced.map_err(|error| match (error, held) {
            (NoToken::Ended, Held::Cookie { .. }) => {
                Denied { clear_cookie: true, ..Denied::unknown_person(target, Verdict::Refused) }
            }
            (error, _) => Denied::plain(self.no_token(target, error)),
        })
    }

    /// Whether somebody who was let in would be let in now.
    pub(crate) async fn still_stands(
        &self,
        context: &Context,
        target: &Target,
        token: &Secret,
        held: Option<&Held>,
    ) -> bool {
        match held {
            Some(held) => self.stands(context, target, held.slot()).await.is_ok(),
            None => self.decide(target, token).await.is_ok(),
        }
    }

    async fn decide(&self, target: &Target, token: &Secret) -> Result<Report, Refusal> {
        let decided = target.verifier.decide(&RawToken::new(token.expose()), &target.demand).await;
        let outcome = decided.as_ref().map(|_| "accepted").unwrap_or_else(|refusal| refusal.verdict().header());
        self.metrics.decision(&target.audience, outcome);
        match decided {
            Ok(permit) => Ok(*permit.report()),
            Err(refusal) => {
                let (reason, verdict) = (refusal.reason.code(), refusal.verdict().header());
                tracing::info!(aud = target.audience, reason, verdict, "token refused");
                Err(refusal)
            }
        }
    }

    fn problem(&self, target: &Target, refusal: &Refusal) -> Problem {
        let problem = Problem::from(refusal.verdict()).realm(&target.audience);
        match &refusal.report {
            Some(report) if self.debug_headers => problem.decided_by(report),
            _ => problem,
        }
    }

    fn no_token(&self, target: &Target, error: NoToken) -> Problem {
        match error {
            NoToken::Ended => Problem::from(Verdict::Refused).realm(&target.audience),
            NoToken::Refused(refusal) => self.problem(target, &refusal),
            NoToken::NeverGood => {
                tracing::error!(aud = target.audience, "tokens fresh from the authority are refused");
                Verdict::Unknown.into()
            }
            NoToken::Authority(error) => authority_problem(&error),
        }
    }
}

/// What the authority's silence, or its no, means to somebody who signs in or uses a session.
pub(crate) fn authority_problem(error: &AuthorityError) -> Problem {
    match *error {
        AuthorityError::Refused => Slug::InvalidCredentials.into(),
        AuthorityError::Throttled { retry_after_s } => Problem::retry_after(Slug::Throttled, retry_after_s),
        AuthorityError::Busy { retry_after_s } => Problem::retry_after(Slug::Busy, retry_after_s),
        AuthorityError::Unavailable { retry_after_s } => {
            Problem::retry_after(Slug::AuthorityUnavailable, retry_after_s.unwrap_or(1))
        }
    }
}
