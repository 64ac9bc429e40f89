//! Sessions: which access tokens a person has at this moment, and how the next one is had.
//!
//! The cookie holds everything, so the gateway may be restarted or have replicas. Memory only makes it better: of all
//! requests of a session that need a token, one asks the authority and the others wait for it, and a request that
//! comes with an older cookie uses the newer state.
//!
//! **Refresh tokens.** `refresh` is the newest, never presented; `presented` is its predecessor. While `refresh` is
//! unused, presenting `presented` again yields the same `refresh` and an access token for any audience. So one
//! rotation serves all audiences for the life of an access token; only then `refresh` is presented in turn. If an
//! answer is lost, the cookie still holds the token that was presented, and presenting it again is an honest replay.

pub(crate) mod cookie;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as Gate;

use crate::authority::{Authority, AuthorityError, Tokens};
use crate::secret::Secret;

/// A session as the cookie holds it. Member names are short because cookies are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    /// Random; the same for the life of the session, known to this gateway alone.
    #[serde(rename = "i")]
    pub(crate) id: String,
    /// Grows with every change: of two cookies of one session the greater is the newer.
    #[serde(rename = "g")]
    pub(crate) generation: u64,
    /// The person.
    #[serde(rename = "u")]
    pub(crate) user_id: String,
    /// As the authority spells it.
    #[serde(rename = "n")]
    pub(crate) username: String,
    /// Unix seconds.
    #[serde(rename = "e")]
    pub(crate) expires_at: u64,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(crate) presented: Option<Secret>,
    #[serde(rename = "r")]
    pub(crate) refresh: Secret,
    /// Unix milliseconds of the first presentation of `presented`, and until when it is presented again.
    #[serde(rename = "o")]
    pub(crate) reuse_until_ms: u64,
    /// Access tokens, the oldest first.
    #[serde(rename = "t")]
    pub(crate) tokens: Vec<AccessToken>,
}

/// An access token and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessToken {
    #[serde(rename = "a")]
    pub(crate) audience: String,
    #[serde(rename = "j")]
    pub(crate) token: Secret,
    /// Unix milliseconds from which on it is not used any more; a little before its end.
    #[serde(rename = "x")]
    pub(crate) use_until_ms: u64,
}

impl AccessToken {
    /// `asked_at_ms` is the time before it was asked for.
    fn new(audience: &str, tokens: &Tokens, asked_at_ms: u64) -> Self {
        let life_ms = tokens.expires_in.saturating_mul(1000);
        let margin_ms = (life_ms / 10).min(5_000);
        let use_until_ms = asked_at_ms.saturating_add(life_ms - margin_ms);
        Self { audience: audience.to_owned(), token: tokens.access_token.clone(), use_until_ms }
    }
}

/// The most tokens that a session keeps.
const MAX_TOKENS: usize = 16;

impl Session {
    /// A fresh one.
    pub(crate) fn begin(
        id: String,
        person: (String, String),
        expires_at: u64,
        audience: &str,
        tokens: &Tokens,
        asked_at_ms: u64,
    ) -> Option<Self> {
        let (user_id, username) = person;
        Some(Self {
            id,
            generation: 1,
            user_id,
            username,
            expires_at,
            presented: None,
            refresh: tokens.refresh_token.clone()?,
            reuse_until_ms: 0,
            tokens: vec![AccessToken::new(audience, tokens, asked_at_ms)],
        })
    }

    /// A token for `audience` that can still be used.
    pub(crate) fn token(&self, audience: &str, now_ms: u64) -> Option<&AccessToken> {
        self.tokens.iter().rev().find(|token| token.audience == audience && now_ms < token.use_until_ms)
    }

    /// Which refresh token to present.
    fn to_present(&self, now_ms: u64) -> &Secret {
        self.presented.as_ref().filter(|_| now_ms < self.reuse_until_ms).unwrap_or(&self.refresh)
    }

    /// The session after `presented` was answered with `tokens`.
    fn refreshed(&self, presented: &Secret, audience: &str, tokens: &Tokens, asked_at_ms: u64) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.tokens.retain(|token| token.audience != audience && asked_at_ms < token.use_until_ms);
        let token = AccessToken::new(audience, tokens, asked_at_ms);
        // Anything else was a replay, or a cookie from a replica that is further along was learnt meanwhile.
        if let Some(successor) = tokens.refresh_token.clone().filter(|_| *presented == self.refresh) {
            next.presented = Some(presented.clone());
            next.refresh = successor;
            next.reuse_until_ms = token.use_until_ms;
        }
        if let Some(left) = tokens.refresh_expires_in {
            next.expires_at = (asked_at_ms / 1000).saturating_add(left);
        }
        next.tokens.push(token);
        let surplus = next.tokens.len().saturating_sub(MAX_TOKENS);
        next.tokens.drain(..surplus);
        next
    }

    /// The session without a token that somebody refused.
    fn without(&self, refused: &Secret) -> Self {
        let mut next = self.clone();
        next.tokens.retain(|token| token.token != *refused);
        if next.tokens.len() != self.tokens.len() {
            next.generation += 1;
        }
        next
    }
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(crate) enum SessionError {
    /// Over: the authority refused, the person signed out, or its time is up.
    Ended,
    /// The authority said something else, or nothing.
    Authority(AuthorityError),
}

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was there.
    Kept,
    /// Another request asked for it, this one waited.
    Shared,
    /// This request asked for it.
    Refreshed,
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Shared => "shared",
            Self::Refreshed => "refreshed",
        }
    }
}

/// The state of one session in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<State>,
    /// Held by the one that asks the authority. Inside: the last failure, for those who were waiting when it came.
    gate: Arc<Gate<Option<(Instant, SessionError)>>>,
}

#[derive(Debug)]
struct State {
    session: Arc<Session>,
    ended: bool,
}

impl Slot {
    pub(crate) fn new(session: Session) -> Arc<Self> {
        let state = State { session: Arc::new(session), ended: false };
        Arc::new(Self { state: Mutex::new(state), gate: Arc::default() })
    }

    /// The newest state, unless the session is over.
    pub(crate) fn current(&self) -> Option<Arc<Session>> {
        let state = self.state.lock();
        let is_over = state.ended || state.session.expires_at <= now_ms() / 1000;
        (!is_over).then(|| state.session.clone())
    }

    /// From now on every cookie of the session is refused, as long as this state is remembered.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
    }

    /// The same, and a refresh token by which it ends at the authority, unless it had ended before.
    pub(crate) fn take_end(&self) -> Option<Secret> {
        let mut state = self.state.lock();
        let had_ended = std::mem::replace(&mut state.ended, true);
        (!had_ended).then(|| state.session.refresh.clone())
    }

    /// A newer cookie than any seen, from a replica or from before a restart, replaces the state.
    fn learn(&self, session: Session) {
        let mut state = self.state.lock();
        if session.generation > state.session.generation {
            state.session = Arc::new(session);
        }
    }

    /// The token was refused as stale or expired: it is not used again.
    pub(crate) fn discard(&self, refused: &Secret) {
        let mut state = self.state.lock();
        state.session = Arc::new(state.session.without(refused));
    }

    /// A usable token for `audience`, from memory or from the authority. However many ask at once, the authority is
    /// asked once; who was waiting when that failed shares the failure.
    pub(crate) async fn token(
        self: &Arc<Self>,
        authority: &Arc<Authority>,
        audience: &str,
        request_id: &str,
    ) -> Result<(Secret, Source), SessionError> {
        if let Some(found) = self.ready(audience)? {
            return Ok((found, Source::Kept));
        }
        let arrived = Instant::now();
        let mut gate = self.gate.clone().lock_owned().await;
        if let Some(found) = self.ready(audience)? {
            return Ok((found, Source::Shared));
        }
        if let Some((_, failure)) = gate.as_ref().filter(|(at, _)| *at >= arrived) {
            return Err(failure.clone());
        }
        // In a task of its own: a client that goes away must not cut off a rotation that others wait for.
        let (slot, authority) = (self.clone(), authority.clone());
        let (audience, request_id) = (audience.to_owned(), request_id.to_owned());
        let refreshing = tokio::spawn(async move {
            let outcome = slot.refresh(&authority, &audience, &request_id).await;
            *gate = outcome.as_ref().err().map(|error| (Instant::now(), error.clone()));
            outcome
        });
        let lost = || SessionError::Authority(AuthorityError::Unavailable { retry_after_s: None });
        let token = refreshing.await.unwrap_or_else(|_| Err(lost()))?;
        Ok((token, Source::Refreshed))
    }

    fn ready(&self, audience: &str) -> Result<Option<Secret>, SessionError> {
        let session = self.current().ok_or(SessionError::Ended)?;
        Ok(session.token(audience, now_ms()).map(|found| found.token.clone()))
    }

    async fn refresh(&self, authority: &Authority, audience: &str, request_id: &str) -> Result<Secret, SessionError> {
        let session = self.current().ok_or(SessionError::Ended)?;
        let asked_at_ms = now_ms();
        let presented = session.to_present(asked_at_ms).clone();
        match authority.refresh(&presented, audience, request_id).await {
            Ok(tokens) => {
                let mut state = self.state.lock();
                state.session = Arc::new(state.session.refreshed(&presented, audience, &tokens, asked_at_ms));
                Ok(tokens.access_token)
            }
            Err(AuthorityError::Refused) => {
                self.end();
                Err(SessionError::Ended)
            }
            Err(error) => Err(SessionError::Authority(error)),
        }
    }
}

/// The sessions in memory; the least used are forgotten first.
pub(crate) struct Sessions {
    slots: Cache<String, Arc<Slot>>,
}

impl Sessions {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Cache::new(capacity) }
    }

    /// The state for a session that a cookie told of.
    pub(crate) fn attach(&self, session: Session) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(&session.id) {
            slot.learn(session);
            return slot;
        }
        let id = session.id.clone();
        let made = Slot::new(session.clone());
        let slot = self.slots.get_or_insert_with(&id, || Ok::<_, std::convert::Infallible>(made.clone()));
        let slot = slot.unwrap_or(made);
        slot.learn(session);
        slot
    }
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn token(audience: &str, size: usize) -> AccessToken {
        AccessToken { audience: audience.to_owned(), token: "j".repeat(size).into(), use_until_ms: 5_000 }
    }

    pub(crate) fn session() -> Session {
        Session {
            id: "i".repeat(22),
            generation: 1,
            user_id: "u_alice".to_owned(),
            username: "alice".to_owned(),
            expires_at: 4_000_000_000,
            presented: None,
            refresh: "refresh-0".to_owned().into(),
            reuse_until_ms: 0,
            tokens: vec![token("propusk", 300)],
        }
    }

    fn tokens(access: &str, refresh: &str) -> Tokens {
        Tokens {
            access_token: access.to_owned().into(),
            expires_in: 600,
            refresh_token: Some(refresh.to_owned().into()),
            refresh_expires_in: None,
        }
    }

    #[test]
    fn a_token_is_used_until_a_little_before_its_end() {
        let long = AccessToken::new("a", &tokens("x", "y"), 1_000);
        assert_eq!(long.use_until_ms, 1_000 + 600_000 - 5_000);
        let short = AccessToken::new("a", &Tokens { expires_in: 2, ..tokens("x", "y") }, 1_000);
        assert_eq!(short.use_until_ms, 1_000 + 2_000 - 200);
    }

    #[test]
    fn one_rotation_serves_all_audiences_for_a_tokens_life() {
        let first = session();
        assert_eq!(first.to_present(10_000).expose(), "refresh-0");
        let second = first.refreshed(&first.refresh, "cars", &tokens("c", "refresh-1"), 10_000);
        assert_eq!((second.refresh.expose(), second.generation), ("refresh-1", 2));
        assert_eq!(second.to_present(20_000).expose(), "refresh-0", "the successor stays unused");
        let presented = second.to_present(20_000).clone();
        let third = second.refreshed(&presented, "users", &tokens("u", "refresh-1"), 20_000);
        assert_eq!(third.tokens.len(), 2);
        assert_eq!(third.reuse_until_ms, second.reuse_until_ms);
        assert_eq!(third.to_present(third.reuse_until_ms).expose(), "refresh-1", "now it rotates");
    }

    #[test]
    fn an_answer_that_comes_late_does_not_take_a_newer_state_back() {
        let first = session();
        let second = first.refreshed(&first.refresh, "cars", &tokens("c", "refresh-1"), 10_000);
        let third = second.refreshed(&second.refresh, "cars", &tokens("c", "refresh-2"), 20_000);
        let late = third.refreshed(&first.refresh, "users", &tokens("u", "refresh-1"), 10_000);
        assert_eq!((late.refresh.expose(), late.presented.unwrap().expose()), ("refresh-2", "refresh-1"));
    }

    #[test]
    fn a_refused_token_is_dropped_and_the_cookie_becomes_newer() {
        let dropped = session().without(&session().tokens[0].token);
        assert_eq!((dropped.tokens.len(), dropped.generation), (0, 2));
        let same = session().without(&"other".to_owned().into());
        assert_eq!(same, session());
    }

    #[test]
    fn the_newer_cookie_wins_and_an_ended_session_stays_ended() {
        let sessions = Sessions::new(10);
        let newer = Session { generation: 7, ..session() };
        let slot = sessions.attach(newer);
        assert!(Arc::ptr_eq(&slot, &sessions.attach(session())));
        assert_eq!(slot.current().unwrap().generation, 7);
        sessions.attach(Session { generation: 8, ..session() });
        assert_eq!(slot.current().unwrap().generation, 8);
        slot.end();
        assert!(sessions.attach(Session { generation: 9, ..session() }).current().is_none());
    }

    #[test]
    fn a_session_past_its_end_is_over() {
        assert!(Slot::new(Session { expires_at: 1, ..session() }).current().is_none());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let text = format!("{:?}", session());
        assert!(!text.contains("refresh-0") && !text.contains("jjj"), "{text}");
    }
}
