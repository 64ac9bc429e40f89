//! The threads that read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use propusk_core::store::{StoreError, Tx};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::transaction::SqliteTx;
use crate::queue::{AbandonOnDrop, Queue};

/// A job with its answer: it is handed a snapshot, or the reason why there is none.
pub(super) type ReadJob = Box<dyn FnOnce(Result<&SqliteTx<'_>, StoreError>) + Send>;

/// A job as a reader takes it.
pub(super) fn job<T, E>(
    job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    reply: oneshot::Sender<Result<T, E>>,
) -> ReadJob
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(move |snapshot| {
        if reply.is_closed() {
            return;
        }
        // A caller that went away meanwhile needs no answer.
        let _ = reply.send(match snapshot {
            Ok(tx) => job(tx),
            Err(error) => Err(E::from(error)),
        });
    })
}

/// Starts a thread for each connection; each ends when `jobs` is closed and empty.
pub(super) fn start(
    connections: Vec<Connection>,
    jobs: &Arc<Queue<ReadJob>>,
) -> impl Iterator<Item = std::io::Result<JoinHandle<()>>> {
    let last = Arc::new(AbandonOnDrop(Arc::clone(jobs)));
    connections.into_iter().map(move |connection| {
        let jobs = Arc::clone(&last);
        thread::Builder::new().name("store-reader".to_owned()).spawn(move || run(&connection, &jobs.0))
    })
}

fn run(connection: &Connection, jobs: &Queue<ReadJob>) {
    while let Some(job) = jobs.pop() {
        // A panicking job drops its `reply`, which is an answer too; the hook has reported the panic.
        if catch_unwind(AssertUnwindSafe(|| read(connection, job))).is_err() {
            tracing::error!("an operation that reads panicked");
        }
        if let Err(error) = end(connection) {
            tracing::error!(%error, "a snapshot could not be ended");
        }
    }
}

/// The snapshot itself begins with the first statement of the job, so after the call that the job is for.
fn read(connection: &Connection, job: ReadJob) {
    match begin(connection) {
        Ok(()) => job(Ok(&SqliteTx::new(connection))),
        Err(error) => job(Err(StoreError::failed(error))),
    }
}

pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN DEFERRED")?.execute([]).map(drop)
}

pub(super) fn end(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.is_autocommit() {
        connection.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(())
}
