//! Signing keys.

use propusk_core::id::ServiceId;
use propusk_core::store::{KeyState, Keys, SealedKey, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT kid, service, alg, state, public_spki, sealed_pkcs8, created_at, activated_at FROM keys ",
            $rest
        )
    };
}

pub(super) const SELECT_LIVE: &str = select!("WHERE state <> 'revoked' ORDER BY service, created_at, kid");
pub(super) const SELECT_OF_SERVICE: &str = select!("WHERE service = ?1 ORDER BY created_at, kid");
pub(super) const SELECT_ACTIVE: &str = select!("WHERE service = ?1 AND state = 'active'");

pub(super) const INSERT: &str =
    "INSERT INTO keys (kid, service, alg, state, public_spki, sealed_pkcs8, created_at, activated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

impl Keys for SqliteTx<'_> {
    fn live_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        self.all(SELECT_LIVE, [], key)
    }

    fn keys_of(&self, service: &ServiceId) -> Result<Vec<SealedKey>, StoreError> {
        self.all(SELECT_OF_SERVICE, [service.as_str()], key)
    }

    fn active_key(&self, service: &ServiceId) -> Result<Option<SealedKey>, StoreError> {
        self.one(SELECT_ACTIVE, [service.as_str()], key)
    }

    fn insert_key(&mut self, key: &SealedKey) -> Result<(), StoreError> {
        let values = params![
            key.kid.as_str(),
            key.service.as_str(),
            key.alg.as_str(),
            key.state.as_str(),
            key.public_spki,
            key.sealed_pkcs8,
            row::time(key.created_at),
            key.activated_at.map(row::time),
        ];
        self.write(INSERT, values).map(|_| ())
    }
}

fn key(columns: &mut Columns<'_>) -> rusqlite::Result<SealedKey> {
    Ok(SealedKey {
        kid: columns.parsed()?,
        service: columns.parsed()?,
        alg: columns.parsed()?,
        state: columns.named("a state of a key", KeyState::from_text)?,
        public_spki: columns.get()?,
        sealed_pkcs8: columns.get()?,
        created_at: columns.time()?,
        activated_at: columns.optional_time()?,
    })
}
