//! Short reads, on the thread of whoever asks.
//!
//! A point read takes a few microseconds: less than to wake a thread and be woken by it. So who needs a few of them
//! borrows a connection and reads by itself. A reader of a write-ahead log waits for no writer, and a connection that
//! somebody else has is not waited for either; all that can hold the thread up is a page that has to come from the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;
use propusk_core::store::{StoreError, Tx};
use rusqlite::Connection;

use super::kept::Kept;
use super::transaction::SqliteTx;
use super::{readers, unanswered};

/// Connections that are lent for the time of one snapshot. Emptied at the end.
pub(super) struct Here(Vec<Mutex<Option<Lent>>>);

struct Lent {
    connection: Connection,
    kept: Kept,
}

impl Here {
    pub(super) fn with(connections: Vec<Connection>) -> Self {
        let lent = |connection| Mutex::new(Some(Lent { connection, kept: Kept::default() }));
        Self(connections.into_iter().map(lent).collect())
    }

    /// Runs a job in a snapshot that begins now, or gives it back if every connection is lent.
    pub(super) fn run<T, E: From<StoreError>, F: FnOnce(&dyn Tx) -> Result<T, E>>(
        &self,
        job: F,
    ) -> Result<Result<T, E>, F> {
        let free = self.0.iter().find_map(|place| place.try_lock().filter(|lent| lent.is_some()));
        let Some(place) = free else { return Err(job) };
        let Some(lent) = place.as_ref() else { return Err(job) };
        // The hook has reported the panic.
        let answer = catch_unwind(AssertUnwindSafe(|| lent.read(job))).unwrap_or_else(|_| Err(unanswered()));
        if let Err(error) = readers::end(&lent.connection) {
            tracing::error!(%error, "a snapshot could not be ended");
        }
        Ok(answer)
    }

    /// Closes the connections, each as soon as it is given back.
    pub(super) fn close(&self) {
        for place in &self.0 {
            drop(place.lock().take());
        }
    }
}

impl Lent {
    fn read<T, E: From<StoreError>>(&self, job: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let Self { connection, kept } = self;
        readers::begin(connection).and_then(|()| kept.begin(connection)).map_err(StoreError::failed)?;
        job(&SqliteTx::with_kept(connection, kept))
    }
}
