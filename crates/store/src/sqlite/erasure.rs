//! What was erased leaves the files, too.
//!
//! SQLite writes zeros over what is deleted (`secure_delete`), where it is. Copies stay in two other places: in the
//! write-ahead log, until that is cut; and in pages that the row was moved away from when they were split, until the
//! database is written anew. So the log is cut after each erasure, as soon as nobody reads from it, and the database is
//! written anew after the first of an hour, unless it is so large that everybody would wait for that.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::open::BUSY_TIMEOUT;

/// Least time between two rewritings.
const REWRITE_EVERY: Duration = Duration::from_secs(3600);
/// Of the database, in bytes. Its copy is in memory meanwhile.
const MOST_REWRITTEN: i64 = 32 << 20;

/// What is still to be cleaned.
#[derive(Debug, Default)]
pub(super) struct Erasure {
    in_log: bool,
    in_pages: bool,
    rewritten_at: Option<Instant>,
}

impl Erasure {
    /// Somebody was erased, and that is committed.
    pub(super) fn note(&mut self) {
        self.in_log = true;
        self.in_pages = true;
    }

    /// Whether there is something to clean by now.
    pub(super) fn is_due(&self) -> bool {
        self.in_log || self.may_rewrite()
    }

    fn may_rewrite(&self) -> bool {
        self.in_pages && self.rewritten_at.is_none_or(|last| last.elapsed() >= REWRITE_EVERY)
    }

    /// Cleans what can be cleaned now, without waiting for readers. To be tried again after the next commit.
    pub(super) fn clean(&mut self, connection: &Connection) {
        if self.may_rewrite() {
            self.rewritten_at = Some(Instant::now());
            match rewrite(connection) {
                Ok(true) => (self.in_pages, self.in_log) = (false, true),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the database could not be written anew after an erasure"),
            }
        }
        if self.in_log {
            match cut_log(connection) {
                Ok(is_cut) => self.in_log = !is_cut,
                Err(error) => tracing::warn!(%error, "the write-ahead log could not be cut after an erasure"),
            }
        }
    }
}

/// Whether it was done: not if it is too large.
fn rewrite(connection: &Connection) -> rusqlite::Result<bool> {
    let bytes: i64 =
        connection.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
            row.get(0)
        })?;
    if bytes > MOST_REWRITTEN {
        return Ok(false);
    }
    connection.execute_batch("VACUUM")?;
    Ok(true)
}

/// Whether it was cut: not while somebody reads from it.
fn cut_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    let cut = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    match cut {
        Ok(_) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}
