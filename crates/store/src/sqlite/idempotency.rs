//! Answers that are kept for those who ask again.

use propusk_core::env::Timestamp;
use propusk_core::secret::HashedSecret;
use propusk_core::store::{Idempotency, StoreError};
use rusqlite::params;

use super::row;
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT sealed FROM kept_answers WHERE key = ?1";

pub(super) const PUT: &str = "INSERT INTO kept_answers (key, sealed, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET sealed = excluded.sealed, at = excluded.at";

pub(super) const FORGET: &str = "DELETE FROM kept_answers WHERE at < ?1";

impl Idempotency for SqliteTx<'_> {
    fn kept_answer(&self, key: &HashedSecret) -> Result<Option<Vec<u8>>, StoreError> {
        self.one(SELECT, [row::hash(key)], |columns| columns.get())
    }

    fn keep_answer(&mut self, key: &HashedSecret, sealed: &[u8], at: Timestamp) -> Result<(), StoreError> {
        self.update(PUT, params![row::hash(key), sealed, row::time(at)])
    }

    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(FORGET, [row::time(before)])
    }
}
