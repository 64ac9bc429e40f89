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
/// A good one is told the subject's current roles and permissions.
///
/// # Errors
/// When the store fails.
pub fn judge(tx: &dyn Tx, item: &CheckItem) -> Result<CheckVerdict, StoreError> {
    match standing(tx, item)? {
        Standing::Refused => return Ok(CheckVerdict::Refused),
        Standing::Stale => return Ok(CheckVerdict::Stale),
        Standing::Good => {}
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

/// Whether a token that ends at `exp`, Unix seconds, is expired whatever a clock says: what hit it may be forgotten.
///
/// # Errors
/// When the store fails.
pub fn floor_has_passed(tx: &dyn Tx, exp: u64) -> Result<bool, StoreError> {
    Ok(exp <= tx.log_state()?.floor)
}

/// How a token stands, whatever its subject may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It, or somebody in it, was revoked, ended or disabled.
    Refused,
    /// Something that it says may be so no more.
    Stale,
    /// Neither.
    Good,
}

/// The same as [`judge`] without roles. A known "no" comes first: refused beats stale.
///
/// # Errors
/// When the store fails.
pub fn standing(tx: &dyn Tx, item: &CheckItem) -> Result<Standing, StoreError> {
    let hits = hits(item);
    let wanted: Vec<(&str, &str)> = hits.iter().map(|hit| (hit.kind, hit.key)).collect();
    let found = tx.last_events(&wanted)?;
    let is_hit = |standing| {
        hits.iter().zip(&found).any(|(hit, seq)| hit.makes == standing && seq.is_some_and(|seq| hit.after < seq))
    };
    if is_hit(Standing::Refused) {
        return Ok(Standing::Refused);
    }
    for subject in subjects(item) {
        if !is_enabled(tx, subject)? {
            return Ok(Standing::Refused);
        }
    }
    Ok(if is_hit(Standing::Stale) { Standing::Stale } else { Standing::Good })
}

/// An event that would hit a token, if it is in the log after a position.
struct Hit<'a> {
    kind: &'static str,
    key: &'a str,
    after: u64,
    makes: Standing,
}

fn hits(item: &CheckItem) -> Vec<Hit<'_>> {
    // What is named by itself is hit whenever that was: no event has the position 0.
    let refused = |kind, key, after| Hit { kind, key, after, makes: Standing::Refused };
    let stale = |kind, key, after| Hit { kind, key, after, makes: Standing::Stale };
    let mut hits = vec![
        refused(TOKEN_REVOKED, item.jti.as_str(), 0),
        stale(ALL_CHANGED, item.aud.as_str(), item.epoch),
        stale(ALL_CHANGED, EVERY_AUDIENCE, item.epoch),
        stale(KEY_REVOKED, item.kid.as_str(), 0),
    ];
    hits.extend(item.sid.iter().map(|sid| refused(SESSION_REVOKED, sid.as_str(), 0)));
    hits.extend(subjects(item).map(|subject| refused(SUBJECT_ENDED, subject, item.epoch)));
    let changeable = std::iter::once(&item.sub).chain(&item.actors);
    hits.extend(changeable.map(|subject| stale(SUBJECT_CHANGED, subject.as_str(), item.epoch)));
    hits
}

/// Everybody in it, each once: whom it speaks for, who got it, and who acts.
fn subjects(item: &CheckItem) -> impl Iterator<Item = &str> {
    let (sub, client) = (item.sub.as_str(), item.client_id.as_str());
    let others = std::iter::once(client).chain(item.actors.iter().map(String::as_str));
    std::iter::once(sub).chain(others.filter(move |other| *other != sub))
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
