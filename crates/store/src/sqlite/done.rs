//! What was done once.

use propusk_core::env::Timestamp;
use propusk_core::store::{Done, StoreError};
use rusqlite::params;

use super::row;
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT 1 FROM done WHERE what = ?1";

pub(super) const INSERT: &str = "INSERT INTO done (what, at) VALUES (?1, ?2) ON CONFLICT (what) DO NOTHING";

impl Done for SqliteTx<'_> {
    fn is_done(&self, what: &str) -> Result<bool, StoreError> {
        self.one(SELECT, [what], |_| Ok(())).map(|found| found.is_some())
    }

    fn set_done(&mut self, what: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write(INSERT, params![what, row::time(at)]).map(|_| ())
    }
}
