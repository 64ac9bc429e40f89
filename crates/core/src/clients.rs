//! Clients: registration by an operator, and authentication at our endpoints.

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{ClientId, Subject};
use crate::log::{self, Change};
use crate::roles::Admins;
use crate::secret::{HashedSecret, PlainSecret};
use crate::store::{AuditEntry, Client, StoreError, Tx};

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
pub fn authenticate(tx: &dyn Tx, id: &str, secret: &PlainSecret) -> Result<Client, ClientAuthError> {
    let id: ClientId = id.parse().map_err(|_| ClientAuthError::Refused)?;
    let presented = secret.hash();
    let client = tx.client(&id)?;
    let stored = client.as_ref().and_then(|client| client.secret);
    let matches = stored.unwrap_or(HashedSecret::from_bytes([0; 32])) == presented;
    match client {
        Some(client) if matches && stored.is_some() && !client.disabled => Ok(client),
        _ => Err(ClientAuthError::Refused),
    }
}

/// Why a client was neither disabled nor enabled.
#[derive(Debug, thiserror::Error)]
pub enum ClientChangeError {
    /// No such client.
    #[error("no such client")]
    Unknown,
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
    if client.disabled {
        return Ok(log::nothing_changed(tx)?);
    }
    let admins = Admins::before(tx)?;
    client.disabled = true;
    tx.update_client(&client)?;
    if !admins.are_left(tx)? {
        return Err(ClientChangeError::LastAdmin);
    }
    let entry = AuditEntry { subject: id.to_string(), ..actor.entry("client_disabled", "ok") };
    tx.append_audit(&entry, env.now)?;
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
        let entry = AuditEntry { subject: id.to_string(), ..actor.entry("client_enabled", "ok") };
        tx.append_audit(&entry, env.now)?;
    }
    Ok(log::nothing_changed(tx)?)
}
