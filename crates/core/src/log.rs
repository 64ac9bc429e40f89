//! The log: what can be appended to it, and what a token is told by it.
//!
//! Every change that can turn a "yes" into a "no" appends one event in the transaction of the change. Minting reads
//! the head of the log in the same snapshot as roles, status and keys, and writes it into the token as `epoch`: so
//! whatever is committed later hits the token, however late it is signed or shown.

use std::time::Duration;

use propusk_verify::check::{CheckItem, CheckVerdict};
use propusk_verify::mutant;

use crate::env::{Env, Timestamp};
use crate::id::{Jti, Kid, ServiceId, SessionId, Subject, UserId};
use crate::roles;
use crate::settings::MAX_ACCESS_TTL;
use crate::store::{LogState, StoreError, Tx};

/// An event, as operations append it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This one token is refused.
    TokenRevoked(Jti),
    /// Every token of this session is refused.
    SessionRevoked(SessionId),
    /// Roles, groups, attributes or credentials of the subject changed: tokens minted before are stale.
    SubjectChanged(Subject),
    /// The subject was disabled or signed out everywhere: tokens minted before are refused.
    SubjectEnded(Subject),
    /// Tokens of this audience (of all when `None`) minted before are stale.
    AllChanged(Option<ServiceId>),
    /// Tokens signed with this key are stale.
    KeyRevoked(Kid),
    /// The ring of an audience has changed; the newest holds.
    KeysChanged(ServiceId),
    /// What the roles of an audience permit has changed; the newest holds.
    PolicyChanged(ServiceId),
}

const TOKEN_REVOKED: &str = "token_revoked";
const SESSION_REVOKED: &str = "session_revoked";
const SUBJECT_CHANGED: &str = "subject_changed";
const SUBJECT_ENDED: &str = "subject_ended";
const ALL_CHANGED: &str = "all_changed";
const KEY_REVOKED: &str = "key_revoked";
/// The kind of [`Change::KeysChanged`].
pub const KEYS_CHANGED: &str = "keys_changed";
/// The kind of [`Change::PolicyChanged`].
pub const POLICY_CHANGED: &str = "policy_changed";

/// The key of an `all_changed` that concerns every audience.
const EVERY_AUDIENCE: &str = "*";

impl Change {
    /// The name of the event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TokenRevoked(_) => TOKEN_REVOKED,
            Self::SessionRevoked(_) => SESSION_REVOKED,
            Self::SubjectChanged(_) => SUBJECT_CHANGED,
            Self::SubjectEnded(_) => SUBJECT_ENDED,
            Self::AllChanged(_) => ALL_CHANGED,
            Self::KeyRevoked(_) => KEY_REVOKED,
            Self::KeysChanged(_) => KEYS_CHANGED,
            Self::PolicyChanged(_) => POLICY_CHANGED,
        }
    }

    /// The change that was appended as this kind and key; `None` for one that this version does not know.
    pub fn parse(kind: &str, key: &str) -> Option<Self> {
        Some(match kind {
            TOKEN_REVOKED => Self::TokenRevoked(key.parse().ok()?),
            SESSION_REVOKED => Self::SessionRevoked(key.parse().ok()?),
            SUBJECT_CHANGED => Self::SubjectChanged(key.parse().ok()?),
            SUBJECT_ENDED => Self::SubjectEnded(key.parse().ok()?),
            ALL_CHANGED if key == EVERY_AUDIENCE => Self::AllChanged(None),
            ALL_CHANGED => Self::AllChanged(Some(key.parse().ok()?)),
            KEY_REVOKED => Self::KeyRevoked(key.parse().ok()?),
            KEYS_CHANGED => Self::KeysChanged(key.parse().ok()?),
            POLICY_CHANGED => Self::PolicyChanged(key.parse().ok()?),
            _ => return None,
        })
    }

    /// What it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::TokenRevoked(jti) => jti.as_str(),
            Self::SessionRevoked(sid) => sid.as_str(),
            Self::SubjectChanged(subject) | Self::SubjectEnded(subject) => subject.as_str(),
            Self::AllChanged(aud) => aud.as_ref().map_or(EVERY_AUDIENCE, ServiceId::as_str),
            Self::KeyRevoked(kid) => kid.as_str(),
            Self::KeysChanged(aud) | Self::PolicyChanged(aud) => aud.as_str(),
        }
    }
}

/// Appends an event and answers its `seq`. It locks the log's row, so it comes last in its transaction.
///
/// # Errors
/// When the store fails.
pub fn append(tx: &mut dyn Tx, env: Env<'_>, change: &Change) -> Result<u64, StoreError> {
    tx.append_event(change.kind(), change.key(), "", env.now)
}

/// The position to wait for when a call finds that there is nothing to change.
///
/// # Errors
/// When the store fails.
pub fn nothing_changed(tx: &dyn Tx) -> Result<u64, StoreError> {
    Ok(unchanged_at(&tx.log_state()?))
}

/// It is the head: the change that was made before may be enforced no more than that one is.
pub fn unchanged_at(log: &LogState) -> u64 {
    if mutant!(RepeatAnsweredAtOnce) { 0 } else { log.head }
}

/// Until when an event that is appended to this log has to be remembered, in Unix seconds: no token that it can hit
/// lives longer, for none that was minted before lives beyond the ceiling. What a clock says at `at` is no bound: the
/// token may have been minted by one that was ahead.
pub fn until(log: &LogState, at: Timestamp) -> u64 {
    if mutant!(UntilFromClock) { at.plus(MAX_ACCESS_TTL).unix_seconds() } else { log.exp_ceiling }
}

/// How far ahead of now the ceiling is kept: a clock that runs away by an hour still mints tokens.
const CEILING_AHEAD: Duration = Duration::from_secs(2 * 3600);

/// Raises the ceiling and the floor. To be run at the start and each minute.
///
/// # Errors
/// When the store fails.
pub fn raise_limits(tx: &mut dyn Tx, now: Timestamp, leeway: Duration) -> Result<(), StoreError> {
    let (ceiling, floor) = limits(now, leeway);
    tx.raise_log_limits(ceiling, floor).map(|_| ())
}

/// What ceiling and floor, in Unix seconds, are raised to at least.
pub fn limits(now: Timestamp, leeway: Duration) -> (u64, u64) {
    let ceiling = now.plus(CEILING_AHEAD.max(MAX_ACCESS_TTL)).unix_seconds();
    (ceiling, now.unix_seconds().saturating_sub(leeway.as_secs()))
}

/// What the log and the current status say of a token whose signature, issuer, audience and times were checked.
///
/// A known "no" comes first: refused beats stale. A good one is told the subject's current roles and permissions.
///
/// # Errors
/// When the store fails.
pub fn judge(tx: &dyn Tx, item: &CheckItem) -> Result<CheckVerdict, StoreError> {
    if is_refused(tx, item)? {
        return Ok(CheckVerdict::Refused);
    }
    if is_stale(tx, item)? {
        return Ok(CheckVerdict::Stale);
    }
    let (Ok(subject), Ok(audience)) = (item.sub.parse::<Subject>(), item.aud.parse::<ServiceId>()) else {
        return Ok(CheckVerdict::Refused);
    };
    let held = roles::effective(tx, &subject, &audience)?;
    Ok(CheckVerdict::Good {
        roles: held.roles.iter().map(ToString::to_string).collect(),
        permissions: held.permissions.iter().map(ToString::to_string).collect(),
    })
}

fn is_refused(tx: &dyn Tx, item: &CheckItem) -> Result<bool, StoreError> {
    if tx.last_event(TOKEN_REVOKED, &item.jti)?.is_some() {
        return Ok(true);
    }
    if let Some(sid) = &item.sid
        && tx.last_event(SESSION_REVOKED, sid)?.is_some()
    {
        return Ok(true);
    }
    let client = std::iter::once(item.client_id.as_str());
    for subject in std::iter::once(item.sub.as_str()).chain(client).chain(item.actors.iter().map(String::as_str)) {
        if hit_after(tx, SUBJECT_ENDED, subject, item.epoch)? || !is_enabled(tx, subject)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_stale(tx: &dyn Tx, item: &CheckItem) -> Result<bool, StoreError> {
    for subject in std::iter::once(&item.sub).chain(&item.actors) {
        if hit_after(tx, SUBJECT_CHANGED, subject, item.epoch)? {
            return Ok(true);
        }
    }
    Ok(hit_after(tx, ALL_CHANGED, &item.aud, item.epoch)?
        || hit_after(tx, ALL_CHANGED, EVERY_AUDIENCE, item.epoch)?
        || tx.last_event(KEY_REVOKED, &item.kid)?.is_some())
}

fn hit_after(tx: &dyn Tx, kind: &str, key: &str, epoch: u64) -> Result<bool, StoreError> {
    Ok(tx.last_event(kind, key)?.is_some_and(|seq| epoch < seq))
}

/// Whether a subject exists and is not disabled. Ids are never used twice, so one that is gone is refused.
fn is_enabled(tx: &dyn Tx, subject: &str) -> Result<bool, StoreError> {
    match subject.parse::<Subject>() {
        Ok(Subject::User(id)) => Ok(user_is_enabled(tx, &id)?),
        Ok(Subject::Client(id)) => Ok(tx.client(&id)?.is_some_and(|client| !client.disabled)),
        Err(_) => Ok(false),
    }
}

fn user_is_enabled(tx: &dyn Tx, id: &UserId) -> Result<bool, StoreError> {
    Ok(tx.user(id)?.is_some_and(|user| !user.disabled))
}
