//! Short reads, on the thread of whoever asks.
//!
//! A point read takes a few microseconds: less than to wake a thread and be woken by it. So who needs a few of them
//! borrows a connection and reads by itself. A reader of a write-ahead log waits for no writer, and a connection that
//! somebody else has is not waited for either; all that can hold the thread up is a page that has to come from the disk.
//!
//! To begin and end a snapshot costs as much as to read. While nobody commits, a new one would show what the one before
//! shows, so a connection keeps its snapshot until something is committed. During a commit nobody knows whether a new one
//! shows it: whoever saw it on one connection must not miss it on the next, so none is kept or used again then. A snapshot
//! that is kept also keeps the write-ahead log from starting over: before the log is moved, all are given up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use propusk_core::store::{StoreError, Tx};
use rusqlite::Connection;

use super::kept::Kept;
use super::transaction::SqliteTx;
use super::{readers, unanswered};

/// Connections that are lent for the time of one job.
pub(super) struct Here {
    /// Emptied at the end.
    places: Vec<Mutex<Option<Lent>>>,
    /// Beginnings and ends of commits, of this process, which is the only one that writes: odd during one.
    commits: AtomicU64,
    /// Snapshots end with their jobs.
    keeps_none: AtomicBool,
}

struct Lent {
    connection: Connection,
    kept: Kept,
    /// The count before the open snapshot began.
    snapshot: Option<u64>,
}

impl Here {
    pub(super) fn with(connections: Vec<Connection>) -> Self {
        let lent = |connection| Mutex::new(Some(Lent { connection, kept: Kept::default(), snapshot: None }));
        let places = connections.into_iter().map(lent).collect();
        Self { places, commits: AtomicU64::new(0), keeps_none: AtomicBool::new(false) }
    }

    /// Commits. Nobody may be told of it before this returns.
    pub(super) fn committing<T>(&self, commit: impl FnOnce() -> T) -> T {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let done = commit();
        self.commits.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// Runs a job in a snapshot that shows all that anybody was told of by now, or gives the job back if every connection
    /// is lent.
    pub(super) fn run<T, E: From<StoreError>, F: FnOnce(&dyn Tx) -> Result<T, E>>(
        &self,
        job: F,
    ) -> Result<Result<T, E>, F> {
        let free = self.places.iter().find_map(|place| place.try_lock().filter(|lent| lent.is_some()));
        let Some(mut place) = free else { return Err(job) };
        let Some(lent) = place.as_mut() else { return Err(job) };
        let commits = self.commits.load(Ordering::SeqCst);
        let is_calm = commits.is_multiple_of(2);
        if !is_calm {
            lent.end();
        }
        // The hook has reported the panic.
        let answer = catch_unwind(AssertUnwindSafe(|| lent.read(commits, job)));
        if answer.is_err() || !is_calm || self.keeps_none.load(Ordering::Acquire) {
            lent.end();
        }
        Ok(answer.unwrap_or_else(|_| Err(unanswered())))
    }

    /// Does something while no connection keeps a snapshot longer than a job takes.
    pub(super) fn without_snapshots<T>(&self, work: impl FnOnce() -> T) -> T {
        self.keeps_none.store(true, Ordering::Release);
        for place in &self.places {
            // Who has it by now may have looked at the flag before.
            if let Some(lent) = place.lock().as_mut() {
                lent.end();
            }
        }
        let done = work();
        self.keeps_none.store(false, Ordering::Release);
        done
    }

    /// Closes the connections, each as soon as it is given back.
    pub(super) fn close(&self) {
        for place in &self.places {
            drop(place.lock().take());
        }
    }
}

impl Lent {
    fn read<T, E: From<StoreError>>(
        &mut self,
        commits: u64,
        job: impl FnOnce(&dyn Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        // SQLite ends it by itself when the disk fails.
        if self.snapshot != Some(commits) || self.connection.is_autocommit() {
            self.end();
            readers::begin(&self.connection).map_err(StoreError::failed)?;
            self.snapshot = Some(commits);
        }
        job(&SqliteTx::with_kept(&self.connection, &self.kept))
    }

    fn end(&mut self) {
        self.snapshot = None;
        self.kept.forget();
        if let Err(error) = readers::end(&self.connection) {
            tracing::error!(%error, "a snapshot could not be ended");
        }
    }
}
