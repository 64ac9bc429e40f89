//! The log of events, its one row, and the longest lease.

use propusk_core::env::Timestamp;
use propusk_core::store::{Log, LogRow, LogState, StoreError};
use rusqlite::params;

use super::row::{self, Columns, Int};
use super::transaction::SqliteTx;

pub(super) const SELECT_STATE: &str = "SELECT head, exp_ceiling, floor FROM log";

pub(super) const SELECT_LAST: &str = "SELECT seq FROM events WHERE kind = ?1 AND key = ?2 ORDER BY seq DESC LIMIT 1";

macro_rules! last {
    ($kind:literal, $key:literal) => {
        concat!("(SELECT seq FROM events WHERE kind = ?", $kind, " AND key = ?", $key, " ORDER BY seq DESC LIMIT 1)")
    };
}

/// A statement costs several times what one of these does.
pub(super) const SELECT_LASTS: &str = concat!(
    "SELECT ",
    last!(1, 2),
    ", ",
    last!(3, 4),
    ", ",
    last!(5, 6),
    ", ",
    last!(7, 8),
    ", ",
    last!(9, 10),
    ", ",
    last!(11, 12),
    ", ",
    last!(13, 14),
    ", ",
    last!(15, 16)
);
/// So many pairs are asked about by one [`SELECT_LASTS`].
const LASTS: usize = 8;

pub(super) const SELECT_AFTER: &str =
    "SELECT seq, kind, key, payload, until, at FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

pub(super) const RAISE_HEAD: &str = "UPDATE log SET head = head + 1 RETURNING head, exp_ceiling, floor";

pub(super) const RAISE_HEAD_TO: &str = "UPDATE log SET head = max(head, ?1)";

pub(super) const INSERT: &str =
    "INSERT INTO events (seq, kind, key, payload, until, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

pub(super) const RAISE_LIMITS: &str = "UPDATE log SET exp_ceiling = max(exp_ceiling, ?1), floor = max(floor, ?2)
    RETURNING head, exp_ceiling, floor";

/// `until` never falls along the log, so what has passed is its beginning: only that is read, not all of the log.
pub(super) const DROP_PASSED: &str = "DELETE FROM events WHERE seq < coalesce(
    (SELECT seq FROM events WHERE until > ?1 ORDER BY seq LIMIT 1), 9223372036854775807)";

pub(super) const SELECT_LONGEST_LEASE: &str = "SELECT longest_ms FROM leases";

pub(super) const RAISE_LONGEST_LEASE: &str = "UPDATE leases SET longest_ms = max(longest_ms, ?1)";

impl Log for SqliteTx<'_> {
    fn log_state(&self) -> Result<LogState, StoreError> {
        self.kept_log(|| self.one(SELECT_STATE, [], state).map(Option::unwrap_or_default))
    }

    fn last_event(&self, kind: &str, key: &str) -> Result<Option<u64>, StoreError> {
        self.one(SELECT_LAST, [kind, key], |columns| columns.number())
    }

    fn last_events(&self, wanted: &[(&str, &str)]) -> Result<Vec<Option<u64>>, StoreError> {
        let mut found = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(LASTS) {
            // What is left over is NULL, which equals nothing.
            let mut texts = part.iter().flat_map(|(kind, key)| [Some(*kind), Some(*key)]);
            let values: [Option<&str>; LASTS * 2] = std::array::from_fn(|_| texts.next().flatten());
            let last = self.one(SELECT_LASTS, values, |columns| {
                part.iter().map(|_| columns.optional_number()).collect::<rusqlite::Result<Vec<_>>>()
            })?;
            found.extend(last.unwrap_or_default());
        }
        Ok(found)
    }

    fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        let Ok(seq) = i64::try_from(seq) else { return Ok(Vec::new()) };
        self.all(SELECT_AFTER, params![seq, row::limit(limit)], event)
    }

    fn append_event(&mut self, kind: &str, key: &str, payload: &str, at: Timestamp) -> Result<u64, StoreError> {
        let state = self.update_returning(RAISE_HEAD, [], state)?;
        let until = propusk_core::log::until(&state, at);
        self.write(INSERT, params![Int(state.head), kind, key, payload, Int(until), row::time(at)])?;
        self.set_appended(state.head);
        Ok(state.head)
    }

    fn raise_head(&mut self, head: u64) -> Result<(), StoreError> {
        self.update(RAISE_HEAD_TO, [Int(head)])
    }

    fn raise_log_limits(&mut self, exp_ceiling: u64, floor: u64) -> Result<LogState, StoreError> {
        let state = self.update_returning(RAISE_LIMITS, params![Int(exp_ceiling), Int(floor)], state)?;
        self.write(DROP_PASSED, [Int(state.floor)])?;
        Ok(state)
    }

    fn longest_lease_ms(&self) -> Result<u64, StoreError> {
        self.one(SELECT_LONGEST_LEASE, [], |columns| columns.number()).map(Option::unwrap_or_default)
    }

    fn raise_longest_lease_ms(&mut self, ms: u64) -> Result<(), StoreError> {
        self.update(RAISE_LONGEST_LEASE, [Int(ms)])
    }
}

fn state(columns: &mut Columns<'_>) -> rusqlite::Result<LogState> {
    Ok(LogState { head: columns.number()?, exp_ceiling: columns.number()?, floor: columns.number()? })
}

fn event(columns: &mut Columns<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        seq: columns.number()?,
        kind: columns.get()?,
        key: columns.get()?,
        payload: columns.get()?,
        until: columns.number()?,
        at: columns.time()?,
    })
}
