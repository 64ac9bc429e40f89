//! Signing keys.

use propusk_core::id::{Kid, ServiceId};
use propusk_core::store::{KeyState, Keys, SealedKey, StoreError};
use rusqlite::params;

use super::row::{self, Columns, Int};
use super::transaction::SqliteTx;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT kid, service, alg, state, public_spki, sealed_pkcs8, created_at, published_seq, promoted_at,
            activated_at, until FROM keys ",
            $rest
        )
    };
}

pub(super) const SELECT_ALL: &str = select!("ORDER BY service, created_at, kid");
pub(super) const SELECT_OF_SERVICE: &str = select!("WHERE service = ?1 ORDER BY created_at, kid");
pub(super) const SELECT: &str = select!("WHERE kid = ?1");
pub(super) const SELECT_ACTIVE: &str = select!("WHERE service = ?1 AND state = 'active'");

pub(super) const INSERT: &str =
    "INSERT INTO keys (kid, service, alg, state, public_spki, sealed_pkcs8, created_at, published_seq, promoted_at,
        activated_at, until)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(super) const UPDATE: &str =
    "UPDATE keys SET state = ?2, promoted_at = ?3, activated_at = ?4, until = ?5 WHERE kid = ?1";

pub(super) const PUBLISH: &str = "UPDATE keys SET published_seq = ?2 WHERE service = ?1 AND published_seq IS NULL";

pub(super) const DELETE: &str = "DELETE FROM keys WHERE kid = ?1";

impl Keys for SqliteTx<'_> {
    fn all_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        self.all(SELECT_ALL, [], key)
    }

    fn keys_of(&self, service: &ServiceId) -> Result<Vec<SealedKey>, StoreError> {
        self.all(SELECT_OF_SERVICE, [service.as_str()], key)
    }

    fn key(&self, kid: &Kid) -> Result<Option<SealedKey>, StoreError> {
        self.one(SELECT, [kid.as_str()], key)
    }

    fn active_key(&self, service: &ServiceId) -> Result<Option<SealedKey>, StoreError> {
        self.kept(|rows| &mut rows.active_keys, service, || self.one(SELECT_ACTIVE, [service.as_str()], key))
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
            key.published_seq.map(Int),
            key.promoted_at.map(row::time),
            key.activated_at.map(row::time),
            key.until.map(Int),
        ];
        self.write(INSERT, values).map(|_| ())
    }

    fn update_key(&mut self, key: &SealedKey) -> Result<(), StoreError> {
        let [promoted_at, activated_at] = [key.promoted_at, key.activated_at].map(|at| at.map(row::time));
        let until = key.until.map(Int);
        self.update(UPDATE, params![key.kid.as_str(), key.state.as_str(), promoted_at, activated_at, until])
    }

    fn publish_keys(&mut self, service: &ServiceId, seq: u64) -> Result<(), StoreError> {
        self.write(PUBLISH, params![service.as_str(), Int(seq)]).map(|_| ())
    }

    fn delete_key(&mut self, kid: &Kid) -> Result<(), StoreError> {
        self.update(DELETE, [kid.as_str()])
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
        published_seq: columns.optional_number()?,
        promoted_at: columns.optional_time()?,
        activated_at: columns.optional_time()?,
        until: columns.optional_number()?,
    })
}
