//! Sessions: opening one for a person whose password was checked, and ending it.

use crate::audit::Actor;
use crate::clients::AUTH_API;
use crate::env::Env;
use crate::grants::TokenSet;
use crate::id::{ClientId, SessionId, Subject, UserId};
use crate::log::{self, Change};
use crate::mint::{self, MintError, MintRequest};
use crate::refresh_token;
use crate::secret::{PlainSecret, TokenKey};
use crate::settings::Settings;
use crate::store::{AuditEntry, LastUse, Service, Session, SessionOrigin, StoreError, TokenPlace, Tx};

/// A person whose password was checked against the hash that was read.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who.
    pub user_id: UserId,
    /// The hash that the password matched.
    pub password_hash: String,
}

/// What to open a session with.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// For whom.
    pub who: Authenticated,
    /// At which client.
    pub client_id: ClientId,
    /// For whom its first access token is.
    pub audience: Service,
    /// From where.
    pub origin: SessionOrigin,
}

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Since the password was checked, the person was disabled or deleted or has another password.
    #[error("invalid credentials")]
    Refused,
    /// No token could be minted.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a session and prepares its first tokens.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    actor: &Actor,
    new: NewSession,
) -> Result<TokenSet, OpenError> {
    let user = tx.user(&new.who.user_id)?.ok_or(OpenError::Refused)?;
    if user.disabled || user.password_hash.as_deref() != Some(new.who.password_hash.as_str()) {
        return Err(OpenError::Refused);
    }
    let session = Session {
        id: SessionId::generate(env.random),
        user_id: user.id.clone(),
        client_id: new.client_id.clone(),
        epoch: tx.log_state()?.head,
        scope: None,
        created_at: env.now,
        expires_at: env.now.plus(settings.session_absolute_ttl),
        token_key: Some(TokenKey::generate(env.random)),
        ended_at: None,
        origin: new.origin,
    };
    tx.insert_session(&session)?;
    let place = TokenPlace { session_id: session.id.clone(), number: 0 };
    let (refresh, last_use) = refresh_token::hand_out(tx, env, settings, &session, place)?;
    let request = MintRequest {
        subject: Subject::User(user.id.clone()),
        client: new.client_id,
        audience: new.audience,
        sid: Some(session.id.clone()),
        act: None,
        not_after: Some(session.expires_at.unix_seconds()),
    };
    let access = mint::prepare(tx, env, settings, &request)?;
    let entry = AuditEntry {
        actor: user.id.to_string(),
        subject: user.id.to_string(),
        service: Some(request.audience.id.to_string()),
        jti: Some(access.jti.to_string()),
        ..actor.entry("login", "ok")
    };
    tx.append_audit(&entry, env.now)?;
    Ok(TokenSet::with_refresh(access, refresh, last_use, env))
}

/// Whether the session can still be used, as of its last use.
///
/// A session keeps the epoch of its sign-in and is of no use once its person was ended after it.
///
/// # Errors
/// When the store fails.
pub fn is_usable(tx: &dyn Tx, env: Env<'_>, session: &Session, last_use: &LastUse) -> Result<bool, StoreError> {
    if session.ended_at.is_some() || last_use.idle_expires_at <= env.now || session.expires_at <= env.now {
        return Ok(false);
    }
    let user = tx.user(&session.user_id)?;
    let client = tx.client(&session.client_id)?;
    Ok(user.is_some_and(|user| !user.disabled && user.ended_seq <= session.epoch)
        && client.is_some_and(|client| !client.disabled))
}

/// Ends a session: its refresh tokens are of no use, its access tokens are refused. Answers the position in the log
/// to wait for; `None` if there is no such session.
///
/// # Errors
/// When the store fails.
pub fn end(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    action: &'static str,
    id: &SessionId,
) -> Result<Option<u64>, StoreError> {
    let Some(session) = tx.session(id)? else { return Ok(None) };
    if !tx.end_session(id, env.now)? {
        return log::nothing_changed(tx).map(Some);
    }
    let entry = AuditEntry { subject: session.user_id.to_string(), ..actor.entry(action, "ok") };
    tx.append_audit(&entry, env.now)?;
    log::append(tx, env, &Change::SessionRevoked(id.clone())).map(Some)
}

/// The session that a refresh token belongs to, if it may be asked about by this client.
///
/// # Errors
/// When the store fails.
pub fn of_refresh_token(
    tx: &dyn Tx,
    presented: &PlainSecret,
    client: &ClientId,
) -> Result<Option<Session>, StoreError> {
    let Some(found) = refresh_token::find(tx, presented)? else { return Ok(None) };
    Ok(tx.session(found.session_id())?.filter(|session| session.client_id == *client))
}

/// The id of the built-in client of the JSON calls.
#[expect(clippy::expect_used, reason = "the constant is a client id")]
pub fn auth_api() -> ClientId {
    AUTH_API.parse().expect("a client id")
}
