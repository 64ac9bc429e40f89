//! The log of events: every change that can turn a "yes" into a "no".

use super::StoreError;
use crate::env::Timestamp;

/// The one row that orders the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LogState {
    /// The `seq` of the last event; 0 when there is none.
    pub head: u64,
    /// Unix seconds. No token lives longer; it only grows.
    pub exp_ceiling: u64,
    /// Unix seconds. Events with `until` at or before it are dropped; it only grows.
    pub floor: u64,
}

/// An event as it is stored. [`crate::log`] gives it meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log.
    pub seq: u64,
    /// The name of the event.
    pub kind: String,
    /// What it is about: a `jti`, `sid`, `sub`, `kid` or audience.
    pub key: String,
    /// What else it carries, as JSON; empty for most.
    pub payload: String,
    /// Unix seconds: the ceiling at its commit.
    pub until: u64,
    /// When it was written, for people.
    pub at: Timestamp,
}

/// Storage of the log.
pub trait Log {
    /// The one row.
    fn log_state(&self) -> Result<LogState, StoreError>;
    /// The `seq` of the newest event with this kind and key.
    fn last_event(&self, kind: &str, key: &str) -> Result<Option<u64>, StoreError>;
    /// The same for several pairs of kind and key, in their order, as one question.
    fn last_events(&self, wanted: &[(&str, &str)]) -> Result<Vec<Option<u64>>, StoreError>;
    /// Up to `limit` events after `seq`, in order.
    fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<LogRow>, StoreError>;
    /// Appends an event; the row takes `head + 1` as its `seq`, which is answered. Takes the log's row lock, so it
    /// comes after every other write of its transaction.
    fn append_event(&mut self, kind: &str, key: &str, payload: &str, at: Timestamp) -> Result<u64, StoreError>;
    /// Raises the head to at least this: positions in between are given to nothing. An event has to follow in the same
    /// transaction. Only for a log of which a part was lost.
    fn raise_head(&mut self, head: u64) -> Result<(), StoreError>;
    /// Raises the ceiling and the floor to at least these, and drops events that the floor has passed.
    fn raise_log_limits(&mut self, exp_ceiling: u64, floor: u64) -> Result<LogState, StoreError>;
    /// The longest lease that was ever granted to a verifier, in milliseconds; 0 if there was none.
    fn longest_lease_ms(&self) -> Result<u64, StoreError>;
    /// Raises the longest lease to at least this, before the first such lease is granted. It only grows.
    fn raise_longest_lease_ms(&mut self, ms: u64) -> Result<(), StoreError>;
}
