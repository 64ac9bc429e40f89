//! Clients: authentication at our endpoints, disabling, enabling, and the end. They are made in [`crate::registration`].

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{ClientId, ServiceId, Subject};
use crate::log::{self, Change};
use crate::roles::Admins;
use crate::secret::{HashedSecret, PlainSecret};
use crate::store::{AuditEntry, Client, GoneId, StoreError, Tx};
use crate::version::Expected;

/// The built-in client of the JSON calls under `/auth`. It has no secret and uses no grant of the token endpoint.
pub const AUTH_API: &str = "auth-api";

/// Why a client is not who it says: `invalid_client`, without telling which.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthError {
    /// Unknown id, wrong secret, or disabled.
    #[error("client authentication failed")]
    Refused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The client with this id and secret, unless it is disabled.
///
/// # Errors
/// [`ClientAuthError`].
pub fn authenticate(tx: &dyn Tx, env: Env<'_>, id: &str, secret: &PlainSecret) -> Result<Client, ClientAuthError> {
    let id: ClientId = id.parse().map_err(|_| ClientAuthError::Refused)?;
    let presented = secret.hash();
    let client = tx.client(&id)?;
    let current = client.as_ref().and_then(|client| client.secret);
    let previous = client.as_ref().and_then(|client| client.previous_secret).filter(|old| env.now < old.until);
    // Both are compared, whether they are there or not.
    let matches = [current, previous.map(|old| old.secret)].map(|stored| {
        let is_equal = stored.unwrap_or(HashedSecret::from_bytes([0; 32])) == presented;
        is_equal & stored.is_some()
    });
    match client {
        Some(client) if matches.contains(&true) && !client.disabled => Ok(client),
        _ => Err(ClientAuthError::Refused),
    }
}

/// Why a client was left as before.
#[derive(Debug, thiserror::Error)]
pub enum ClientChangeError {
    /// No such client.
    #[error("no such client")]
    Unknown,
    /// There is one with this id, or there was.
    #[error("the client id is taken")]
    Taken,
    /// It is part of the authority.
    #[error("this client is built in")]
    BuiltIn,
    /// It may not have tokens for a service that there is not.
    #[error("there is no service {0}")]
    UnknownAudience(ServiceId),
    /// It is not what the author of the change saw.
    #[error("the client was changed meanwhile")]
    Changed,
    /// It is the last administrator.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Disables a client: its tokens are refused, it gets no more. Answers the position in the log to wait for.
///
/// # Errors
/// [`ClientChangeError`].
pub fn disable(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &ClientId) -> Result<u64, ClientChangeError> {
    let mut client = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    expect_not_built_in(id)?;
    if client.disabled {
        return Ok(log::nothing_changed(tx)?);
    }
    let admins = Admins::before(tx)?;
    client.disabled = true;
    tx.update_client(&client)?;
    if !admins.are_left(tx)? {
        return Err(ClientChangeError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "client_disabled", id), env.now)?;
    Ok(log::append(tx, env, &Change::SubjectEnded(Subject::Client(id.clone())))?)
}

/// Lets a disabled client get tokens again; those from before stay refused. Answers the head of the log.
///
/// # Errors
/// [`ClientChangeError`].
pub fn enable(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &ClientId) -> Result<u64, ClientChangeError> {
    let mut client = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    if client.disabled {
        client.disabled = false;
        tx.update_client(&client)?;
        tx.append_audit(&entry(actor, "client_enabled", id), env.now)?;
    }
    Ok(log::nothing_changed(tx)?)
}

/// Refuses every token that a client got, its own and people's. It may get new ones. Answers the position in the log to
/// wait for.
///
/// # Errors
/// [`ClientChangeError`].
pub fn revoke_tokens(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &ClientId) -> Result<u64, ClientChangeError> {
    tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    tx.append_audit(&entry(actor, "client_tokens_revoked", id), env.now)?;
    Ok(log::append(tx, env, &Change::SubjectEnded(Subject::Client(id.clone())))?)
}

/// Deletes a client: its tokens and the sessions that people have at it end. Its id is not given again. Answers the
/// position in the log to wait for.
///
/// # Errors
/// [`ClientChangeError`].
pub fn delete(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &ClientId,
    expected: &Expected,
) -> Result<u64, ClientChangeError> {
    let client = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    expect_not_built_in(id)?;
    if !expected.allows(Some(client.version)) {
        return Err(ClientChangeError::Changed);
    }
    let admins = Admins::before(tx)?;
    tx.delete(&GoneId::Client(id.clone()), env.now)?;
    if !admins.are_left(tx)? {
        return Err(ClientChangeError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "client_deleted", id), env.now)?;
    Ok(log::append(tx, env, &Change::SubjectEnded(Subject::Client(id.clone())))?)
}

/// People's own sessions depend on the built-in client.
pub(crate) fn expect_not_built_in(id: &ClientId) -> Result<(), ClientChangeError> {
    if id.as_str() == AUTH_API { Err(ClientChangeError::BuiltIn) } else { Ok(()) }
}

pub(crate) fn entry(actor: &Actor, action: &'static str, id: &ClientId) -> AuditEntry {
    AuditEntry { subject: id.to_string(), ..actor.entry(action, "ok") }
}
