//! Registering clients, changing what they were registered with (RFC 7591), and giving them another secret.

use std::time::Duration;

use crate::audit::Actor;
use crate::clients::{ClientChangeError, entry, expect_not_built_in};
use crate::env::{Env, Timestamp};
use crate::id::{ClientId, ServiceId, Subject};
use crate::log::{self, Change};
use crate::roles::Admins;
use crate::secret::{CLIENT_SECRET_PREFIX, PlainSecret};
use crate::store::{AuthMethod, Client, GoneId, GrantType, PreviousSecret, Tx};
use crate::version::Expected;

/// A client that is to be registered.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its id; without one it gets a random one.
    pub id: Option<ClientId>,
    /// For people.
    pub name: String,
    /// What it may ask the token endpoint for.
    pub grant_types: Vec<GrantType>,
    /// How it is going to authenticate.
    pub auth_method: AuthMethod,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// The audiences it may get tokens for.
    pub audiences: Vec<ServiceId>,
    /// Whether it may see people's passwords.
    pub first_party: bool,
}

/// What is to be changed of a client.
#[derive(Debug, Clone, Default)]
pub struct ClientChange {
    /// Another name.
    pub name: Option<String>,
    /// Other grants.
    pub grant_types: Option<Vec<GrantType>>,
    /// Another way to authenticate.
    pub auth_method: Option<AuthMethod>,
    /// Other addresses.
    pub redirect_uris: Option<Vec<String>>,
    /// Other audiences.
    pub audiences: Option<Vec<ServiceId>>,
    /// Whether it may see people's passwords.
    pub first_party: Option<bool>,
}

/// Registers a client. Answers it with its secret, which nobody can read back later.
///
/// # Errors
/// [`ClientChangeError`].
pub fn create(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    new: NewClient,
) -> Result<(Client, PlainSecret), ClientChangeError> {
    let id = new.id.unwrap_or_else(|| ClientId::generate(env.random));
    if tx.is_gone(&GoneId::Client(id.clone()))? {
        return Err(ClientChangeError::Taken);
    }
    expect_audiences(tx, &new.audiences)?;
    let secret = PlainSecret::generate(CLIENT_SECRET_PREFIX, env.random);
    let client = Client {
        secret: Some(secret.hash()),
        auth_method: new.auth_method,
        redirect_uris: new.redirect_uris,
        first_party: new.first_party,
        grant_types: new.grant_types,
        audiences: new.audiences,
        ..Client::named(id, new.name, env.now)
    };
    if !tx.insert_client(&client)? {
        return Err(ClientChangeError::Taken);
    }
    tx.append_audit(&entry(actor, "client_created", &client.id), env.now)?;
    Ok((client, secret))
}

/// Changes what a client was registered with. Answers what became of it, and the position in the log to wait for.
///
/// # Errors
/// [`ClientChangeError`].
pub fn change(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &ClientId,
    change: ClientChange,
    expected: &Expected,
) -> Result<(Client, u64), ClientChangeError> {
    let before = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    expect_not_built_in(id)?;
    if !expected.allows(Some(before.version)) {
        return Err(ClientChangeError::Changed);
    }
    if let Some(audiences) = &change.audiences {
        expect_audiences(tx, audiences)?;
    }
    let mut client = before.clone();
    replace(&mut client.name, change.name);
    replace(&mut client.grant_types, change.grant_types);
    replace(&mut client.auth_method, change.auth_method);
    replace(&mut client.redirect_uris, change.redirect_uris);
    replace(&mut client.audiences, change.audiences);
    replace(&mut client.first_party, change.first_party);
    if client == before {
        return Ok((client, log::nothing_changed(tx)?));
    }
    let admins = Admins::before(tx)?;
    tx.update_client(&client)?;
    if !admins.are_left(tx)? {
        return Err(ClientChangeError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "client_changed", id), env.now)?;
    let client = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    let seq = log::append(tx, env, &Change::SubjectChanged(Subject::Client(id.clone())))?;
    Ok((client, seq))
}

/// A secret that takes the place of another.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The new one; nobody can read it back later.
    pub secret: PlainSecret,
    /// Until when the one before is good.
    pub previous_until: Timestamp,
    /// The position in the log to wait for.
    pub seq: u64,
}

/// Gives a client another secret; the one before is good for `overlap` more, so that its copies can be replaced one
/// after the other. One that was before that is not.
///
/// # Errors
/// [`ClientChangeError`].
pub fn new_secret(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &ClientId,
    overlap: Duration,
) -> Result<NewSecret, ClientChangeError> {
    let client = tx.client(id)?.ok_or(ClientChangeError::Unknown)?;
    expect_not_built_in(id)?;
    let secret = PlainSecret::generate(CLIENT_SECRET_PREFIX, env.random);
    let previous_until = env.now.plus(overlap);
    let previous = client.secret.filter(|_| !overlap.is_zero());
    let previous_secret = previous.map(|secret| PreviousSecret { secret, until: previous_until });
    tx.update_client(&Client { secret: Some(secret.hash()), previous_secret, ..client })?;
    tx.append_audit(&entry(actor, "client_secret_changed", id), env.now)?;
    let seq = log::append(tx, env, &Change::SubjectChanged(Subject::Client(id.clone())))?;
    Ok(NewSecret { secret, previous_until, seq })
}

fn replace<T>(field: &mut T, with: Option<T>) {
    if let Some(with) = with {
        *field = with;
    }
}

fn expect_audiences(tx: &dyn Tx, audiences: &[ServiceId]) -> Result<(), ClientChangeError> {
    for audience in audiences {
        if tx.service(audience)?.is_none() {
            return Err(ClientChangeError::UnknownAudience(audience.clone()));
        }
    }
    Ok(())
}
