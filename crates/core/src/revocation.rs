//! RFC 7009 and the administrator's revocation of single tokens.

use propusk_verify::token::VerifiedToken;

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{ClientId, Jti};
use crate::log::{self, Change};
use crate::secret::PlainSecret;
use crate::sessions;
use crate::store::{AuditEntry, StoreError, Tx};

/// Revokes a refresh token of this client, and with it the session. Answers the position in the log to wait for;
/// `None` if this client has no such token, which is no error.
///
/// # Errors
/// When the store fails.
pub fn refresh_token(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    client: &ClientId,
    presented: &PlainSecret,
) -> Result<Option<u64>, StoreError> {
    match sessions::of_refresh_token(tx, presented, client)? {
        Some(session) => sessions::end(tx, env, actor, "session_ended", &session.id),
        None => Ok(None),
    }
}

/// Revokes an access token of this client; `None` if it is another client's.
///
/// # Errors
/// When the store fails.
pub fn own_access_token(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    client: &ClientId,
    token: &VerifiedToken,
) -> Result<Option<u64>, StoreError> {
    if token.claims().client_id != client.as_str() {
        return Ok(None);
    }
    match token.claims().jti.parse::<Jti>() {
        Ok(jti) => by_jti(tx, env, actor, &jti).map(Some),
        Err(_) => Ok(None),
    }
}

/// Revokes the access token with this id, whoever has it. Answers the position in the log to wait for.
///
/// # Errors
/// When the store fails.
pub fn by_jti(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, jti: &Jti) -> Result<u64, StoreError> {
    let change = Change::TokenRevoked(jti.clone());
    if tx.last_event(change.kind(), change.key())?.is_some() {
        return log::nothing_changed(tx);
    }
    let entry = AuditEntry { jti: Some(jti.to_string()), ..actor.entry("token_revoked", "ok") };
    tx.append_audit(&entry, env.now)?;
    log::append(tx, env, &change)
}
