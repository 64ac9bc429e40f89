//! One transaction, which the storage traits are implemented for, a file each.

use std::collections::HashMap;
use std::hash::Hash;

use propusk_core::store::{LogState, StoreError};
use rusqlite::{Connection, Params};

use super::kept::{Kept, Rows};
use super::row::Columns;

/// A snapshot or a savepoint of one connection.
pub(super) struct SqliteTx<'c> {
    connection: &'c Connection,
    /// Not on the connections that read for long.
    kept: Option<&'c Kept>,
    has_written_kept: bool,
    appended: Option<u64>,
    erased: bool,
}

impl<'c> SqliteTx<'c> {
    /// Whoever begins a transaction on `connection` ends it, too.
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, kept: None, has_written_kept: false, appended: None, erased: false }
    }

    /// One in which rows that were kept hold.
    pub(super) fn with_kept(connection: &'c Connection, kept: &'c Kept) -> Self {
        Self { kept: Some(kept), ..Self::new(connection) }
    }

    /// A row of those that are kept.
    pub(super) fn kept<K: Hash + Eq + Clone, V: Clone>(
        &self,
        of: fn(&mut Rows) -> &mut HashMap<K, V>,
        key: &K,
        read: impl FnOnce() -> Result<V, StoreError>,
    ) -> Result<V, StoreError> {
        match self.kept {
            Some(kept) => kept.row(of, key, read),
            None => read(),
        }
    }

    /// The row of the log, which is kept too.
    pub(super) fn kept_log(&self, read: impl FnOnce() -> Result<LogState, StoreError>) -> Result<LogState, StoreError> {
        match self.kept {
            Some(kept) => kept.log(read),
            None => read(),
        }
    }

    /// Whether rows of those that are kept may have been written.
    pub(super) fn has_written_kept(&self) -> bool {
        self.has_written_kept
    }

    /// The head of the log, if this raised it.
    pub(super) fn appended(&self) -> Option<u64> {
        self.appended
    }

    pub(super) fn set_appended(&mut self, head: u64) {
        self.appended = Some(head);
    }

    /// Whether somebody was erased.
    pub(super) fn erased(&self) -> bool {
        self.erased
    }

    pub(super) fn set_erased(&mut self) {
        self.erased = true;
    }

    /// The first row that `sql` answers.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&mut Columns<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let query = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(|row| read(&mut Columns::of(row))).transpose()
        };
        query().map_err(StoreError::failed)
    }

    /// Every row that `sql` answers, in its order.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl Fn(&mut Columns<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let query = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params, |row| read(&mut Columns::of(row)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        query().map_err(StoreError::failed)
    }

    /// Writes; how many rows it concerned.
    pub(super) fn write(&mut self, sql: &'static str, params: impl Params) -> Result<usize, StoreError> {
        self.forget_kept();
        self.write_apart(sql, params)
    }

    fn forget_kept(&mut self) {
        self.has_written_kept = true;
        if let Some(kept) = self.kept {
            kept.forget();
        }
    }

    /// Writes to a table of which no rows are kept: sessions, refresh tokens, the audit log.
    pub(super) fn write_apart(&mut self, sql: &'static str, params: impl Params) -> Result<usize, StoreError> {
        self.expect_transaction()?;
        let write = || self.connection.prepare_cached(sql)?.execute(params);
        write().map_err(StoreError::failed)
    }

    /// Writes what concerns at most one row; whether there was one.
    pub(super) fn write_one(&mut self, sql: &'static str, params: impl Params) -> Result<bool, StoreError> {
        Ok(self.write(sql, params)? > 0)
    }

    /// Changes a row that must be there.
    pub(super) fn update(&mut self, sql: &'static str, params: impl Params) -> Result<(), StoreError> {
        expect_row(self.write(sql, params)?)
    }

    /// The same in a table of which no rows are kept.
    pub(super) fn update_apart(&mut self, sql: &'static str, params: impl Params) -> Result<(), StoreError> {
        expect_row(self.write_apart(sql, params)?)
    }

    /// Changes the row of a table that has one, and answers it.
    pub(super) fn update_returning<T>(
        &mut self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&mut Columns<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.forget_kept();
        self.expect_transaction()?;
        self.one(sql, params, read)?.ok_or_else(|| StoreError::failed(NoSuchRow))
    }

    /// SQLite ends the whole transaction when the disk is full or fails. What the job wrote after that would be
    /// committed a statement at a time.
    fn expect_transaction(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() { Err(StoreError::failed(TransactionLost)) } else { Ok(()) }
    }
}

fn expect_row(changed: usize) -> Result<(), StoreError> {
    if changed > 0 { Ok(()) } else { Err(StoreError::failed(NoSuchRow)) }
}

/// What was to be changed is not there.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("there is no such row to change")]
struct NoSuchRow;

/// The transaction ended before its job did.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the transaction was rolled back after an earlier failure")]
struct TransactionLost;
