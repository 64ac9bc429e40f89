//! A database with people who are signed in, made without the authority's help.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use propusk_core::env::{Env, SystemClock, SystemRandom};
use propusk_core::id::{SessionId, UserId};
use propusk_core::password::{Password, PasswordHasher};
use propusk_core::refresh_token;
use propusk_core::secret::{HashedSecret, TokenKey};
use propusk_core::settings::Settings;
use propusk_core::store::{LastUse, RefreshToken, Session, SessionOrigin, StoreError, TokenPlace, Tx, User};
use propusk_server::demo;
use propusk_store::{SqliteStore, Synchronous};

use crate::child::authority::{Spec, config};
use crate::data::Data;

/// The client that gets tokens for itself.
pub(super) const M2M: &str = "demo-m2m";
/// The client at which people are signed in.
pub(super) const SIGN_IN: &str = "demo-first-party";
/// Everybody's password.
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// So many people are known by name and token.
pub(super) const KNOWN: usize = 512;

/// Data, and what opens it.
pub(super) struct World {
    pub(super) data: Data,
    /// Of the demo's clients.
    pub(super) secrets: BTreeMap<String, String>,
    /// Some of the people, spread over all of the database.
    pub(super) people: Vec<Person>,
}

/// Somebody who has signed in.
pub(super) struct Person {
    pub(super) username: String,
    pub(super) refresh_token: String,
}

impl World {
    /// The demo's services and clients, and so many people with a session each.
    pub(super) async fn make(dir: Option<&Path>, people: usize) -> Result<Self> {
        let data = Data::new(dir)?;
        let spec = Spec::new(&data, std::time::Duration::ZERO)?;
        let made = demo::prepare(config(spec)?, BTreeMap::new()).await?;
        let secret_of = |client: demo::DemoClient| Some((client.client_id, client.secret?.expose().to_owned()));
        let secrets = made.clients.into_iter().filter_map(secret_of).collect();
        // How it is filled is not measured.
        let store = SqliteStore::open(&data.database(), Synchronous::Off)?;
        let people = fill(&store, people.max(KNOWN)).await?;
        store.close().await;
        Ok(Self { data, secrets, people })
    }
}

/// A person of the database with all that belongs to it.
struct Whole {
    user: UserId,
    username: String,
    place: TokenPlace,
    key: TokenKey,
    hash: HashedSecret,
}

/// Keys are drawn first and written in their order: at random, each row would be a page of the disk.
async fn fill(store: &SqliteStore, people: usize) -> Result<Vec<Person>> {
    // A savepoint in a long job walks along all pages that the job has changed.
    const OF_A_COMMIT: usize = 500;
    let mut users: Vec<UserId> = (0..people).map(|_| UserId::generate(&SystemRandom)).collect();
    let mut sessions: Vec<SessionId> = (0..people).map(|_| SessionId::generate(&SystemRandom)).collect();
    users.sort_unstable();
    sessions.sort_unstable();
    let mut known = Vec::new();
    let mut all = users.into_iter().zip(sessions).enumerate().map(|(n, (user, session_id))| {
        let username = format!("p{n:07}");
        let place = TokenPlace { session_id, number: 0 };
        let key = TokenKey::generate(&SystemRandom);
        let plain = refresh_token::generate(&place, Some(&key), &SystemRandom);
        if n % (people / KNOWN) == 0 && known.len() < KNOWN {
            known.push(Person { username: username.clone(), refresh_token: plain.expose().to_owned() });
        }
        Whole { user, username, place, key, hash: plain.hash() }
    });
    let password_hash = password_hash()?;
    loop {
        let part: Vec<Whole> = all.by_ref().take(OF_A_COMMIT).collect();
        if part.is_empty() {
            break;
        }
        let password_hash = password_hash.clone();
        let write = store.write(move |tx| part.into_iter().try_for_each(|person| insert(tx, person, &password_hash)));
        write.await.context("a person cannot be written")?;
    }
    drop(all);
    Ok(known)
}

fn insert(tx: &mut dyn Tx, person: Whole, password_hash: &str) -> Result<(), StoreError> {
    let settings = Settings::new("");
    let now = Env::new(&SystemClock, &SystemRandom).now;
    tx.insert_user(&User {
        id: person.user.clone(),
        username: person.username,
        email: None,
        password_hash: Some(password_hash.to_owned()),
        disabled: false,
        ended_seq: 0,
        created_at: now,
        version: 1,
    })?;
    tx.insert_session(&Session {
        id: person.place.session_id.clone(),
        user_id: person.user,
        client_id: SIGN_IN.parse().map_err(StoreError::failed)?,
        epoch: tx.log_state()?.head,
        scope: None,
        created_at: now,
        expires_at: now.plus(settings.session_absolute_ttl),
        token_key: Some(person.key),
        ended_at: None,
        origin: SessionOrigin { address: Some("192.0.2.1".to_owned()), user_agent: Some("Mozilla/5.0".to_owned()) },
    })?;
    let Whole { place, hash, .. } = person;
    let last_use = LastUse { at: now, idle_expires_at: now.plus(settings.session_idle_ttl) };
    tx.insert_refresh_token(&RefreshToken { place, hash, created_at: now, last_use, rotation: None })
}

/// With the product's default parameters.
fn password_hash() -> Result<String> {
    let hasher = PasswordHasher::new(Settings::new("").argon2, &SystemRandom)?;
    let password = Password::to_check(PASSWORD).context("it cannot be a password")?;
    Ok(hasher.hash(&password, &SystemRandom)?)
}
