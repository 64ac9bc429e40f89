//! RFC 6749 section 4.3, for first-party clients only: the gateway turns a name and a password into a session.
//!
//! The password itself is checked between two transactions, on threads of its own: [`candidate`] reads whom to check
//! it against, [`grant`] opens the session if nothing changed in between.

use super::{GrantError, TokenSet, expect_allowed};
use crate::audit::Actor;
use crate::env::Env;
use crate::sessions::{self, Authenticated, NewSession, OpenError};
use crate::settings::Settings;
use crate::store::{AuditEntry, Client, GrantType, Service, SessionOrigin, StoreError, Tx};
use crate::target::{self, Target};
use crate::users;

/// Whom to check a password against. Nobody is checked too, against a decoy, so that both take the same time.
#[derive(Debug, Clone)]
pub struct Candidate(pub Option<Authenticated>);

impl Candidate {
    /// The hash to check against.
    pub fn password_hash(&self) -> Option<&str> {
        self.0.as_ref().map(|who| who.password_hash.as_str())
    }
}

/// Reads whom a typed username means. A disabled person is a candidate like any other: that they are disabled
/// shows, as a plain refusal, only after the password was right.
///
/// # Errors
/// When the store fails.
pub fn candidate(tx: &dyn Tx, typed_username: &str) -> Result<Candidate, StoreError> {
    let user = users::by_typed_username(tx, typed_username)?;
    Ok(Candidate(user.and_then(|user| Some(Authenticated { user_id: user.id, password_hash: user.password_hash? }))))
}

/// Whether this client may use the grant, and for which audience: asked before any password is looked at.
///
/// # Errors
/// [`GrantError`].
pub fn admit(tx: &dyn Tx, client: &Client, target: &Target) -> Result<Service, GrantError> {
    expect_allowed(client, GrantType::Password)?;
    Ok(target::of_client(tx, client, target)?)
}

/// Opens a session for a person whose password was right.
///
/// # Errors
/// [`GrantError`].
pub fn grant(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    actor: &Actor,
    new: NewSession,
) -> Result<TokenSet, GrantError> {
    let client = tx.client(&new.client_id)?;
    if client.is_none_or(|client| client.disabled) {
        return Err(GrantError::UnauthorizedClient);
    }
    sessions::open(tx, env, settings, actor, new).map_err(|error| match error {
        OpenError::Refused => GrantError::InvalidGrant("invalid credentials"),
        OpenError::Mint(error) => error.into(),
        OpenError::Store(error) => error.into(),
    })
}

/// Writes down a sign-in that was refused. The typed name is not kept: people type passwords there.
///
/// # Errors
/// When the store fails.
pub fn record_refusal(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    candidate: &Candidate,
    origin: &SessionOrigin,
) -> Result<(), StoreError> {
    tracing::info!(address = origin.address.as_deref().unwrap_or("-"), "sign-in refused");
    let subject = candidate.0.as_ref().map(|who| who.user_id.to_string()).unwrap_or_default();
    tx.append_audit(&AuditEntry { subject, ..actor.entry("login", "invalid_credentials") }, env.now)
}
