//! Rows that are read by almost every request and almost never change, kept from one snapshot to the next.
//!
//! SQLite tells the version of the data that a snapshot shows. While it is the one of the snapshot before, nobody has
//! committed anything, so what was read then is what would be read now, to the letter: all rows of an answer are still of
//! one snapshot. Any commit whatever, and all is forgotten.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{Client, LogState, RoleGrant, SealedKey, Service, StoreError};
use rusqlite::Connection;

/// What one connection keeps.
#[derive(Default)]
pub(super) struct Kept(RefCell<Rows>);

#[derive(Default)]
pub(super) struct Rows {
    /// Of the snapshot that they were read in.
    version: Option<i64>,
    pub(super) log: Option<LogState>,
    pub(super) clients: HashMap<ClientId, Option<Client>>,
    pub(super) roles_of_clients: HashMap<ClientId, Vec<RoleGrant>>,
    pub(super) services: HashMap<ServiceId, Option<Service>>,
    pub(super) active_keys: HashMap<ServiceId, Option<SealedKey>>,
}

/// Most rows of a kind.
const MOST: usize = 1024;

/// It opens the snapshot, if the transaction has none yet.
pub(super) const VERSION: &str = "PRAGMA data_version";

impl Kept {
    /// To be called first of all in a transaction of the connection that the rows are of.
    pub(super) fn begin(&self, connection: &Connection) -> rusqlite::Result<()> {
        let version = connection.prepare_cached(VERSION)?.query_row([], |row| row.get(0))?;
        let mut rows = self.0.borrow_mut();
        if rows.version != Some(version) {
            *rows = Rows { version: Some(version), ..Rows::default() };
        }
        Ok(())
    }

    /// A row that was read before, or is read now and kept.
    pub(super) fn row<K: Hash + Eq + Clone, V: Clone>(
        &self,
        of: fn(&mut Rows) -> &mut HashMap<K, V>,
        key: &K,
        read: impl FnOnce() -> Result<V, StoreError>,
    ) -> Result<V, StoreError> {
        if let Some(kept) = of(&mut self.0.borrow_mut()).get(key) {
            return Ok(kept.clone());
        }
        let found = read()?;
        let mut rows = self.0.borrow_mut();
        let rows = of(&mut rows);
        // Anybody can ask for ids that there are not.
        if rows.len() >= MOST {
            rows.clear();
        }
        rows.insert(key.clone(), found.clone());
        Ok(found)
    }

    pub(super) fn log(&self, read: impl FnOnce() -> Result<LogState, StoreError>) -> Result<LogState, StoreError> {
        let kept = self.0.borrow().log;
        let state = kept.map_or_else(read, Ok)?;
        self.0.borrow_mut().log = Some(state);
        Ok(state)
    }
}
