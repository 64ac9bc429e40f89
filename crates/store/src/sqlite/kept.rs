//! Rows that are read by almost every request and almost never change.
//!
//! A connection that reads keeps them as long as the snapshot that they were read in: all rows of an answer are of that
//! one snapshot. The connection that writes is the only one that does, so it keeps them until it changes one of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{Client, LogState, RoleGrant, SealedKey, Service, StoreError};

/// What one connection keeps.
#[derive(Default)]
pub(super) struct Kept(RefCell<Rows>);

#[derive(Default)]
pub(super) struct Rows {
    pub(super) log: Option<LogState>,
    pub(super) clients: HashMap<ClientId, Option<Client>>,
    pub(super) roles_of_clients: HashMap<ClientId, Vec<RoleGrant>>,
    pub(super) services: HashMap<ServiceId, Option<Service>>,
    pub(super) active_keys: HashMap<ServiceId, Option<SealedKey>>,
}

/// Most rows of a kind.
const MOST: usize = 1024;

impl Kept {
    /// To be called when the snapshot ends, and when a row of these was written or what was written is taken back.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = Rows::default();
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
