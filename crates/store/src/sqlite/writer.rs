//! The thread that writes, and its group commit.
//!
//! A sync of the disk costs a hundred times what a job does, so one sync is shared by all jobs that wait: they run in
//! one transaction, each in a savepoint of its own, and are answered after its one `COMMIT`. A job that answers with
//! an error, or panics, is taken back alone. If the `COMMIT` fails, so does every job of the group: even one that
//! only read may have seen what is not there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use propusk_core::store::{StoreError, Tx};
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use tokio::sync::{oneshot, watch};

use super::copy::Copies;
use super::erasure::Erasure;
use super::here::Here;
use super::kept::Kept;
use super::transaction::SqliteTx;
use crate::queue::{AbandonOnDrop, Queue};

/// Most jobs that share a commit: so long may the first of them wait for the others.
const MAX_GROUP: usize = 256;

/// Starts the thread; it ends when `jobs` is closed and empty, and hands the connection back: whoever closes it last takes
/// the WAL away, which no reader can.
pub(super) fn start(
    mut connection: Connection,
    jobs: Arc<Queue<GroupJob>>,
    head: watch::Sender<u64>,
    here: Arc<Here>,
    copies: Copies,
) -> std::io::Result<JoinHandle<Connection>> {
    thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
        let jobs = AbandonOnDrop(jobs);
        let wal = WalWatch::on(&mut connection, copies);
        let (kept, erasure) = (Kept::default(), Erasure::default());
        let mut writer = Writer { connection, jobs: &jobs.0, kept, head, here, wal, erasure };
        writer.run();
        writer.connection
    })
}

/// A job whose types are forgotten.
pub(super) type GroupJob = Box<dyn Job>;

/// What the writer does with a job.
pub(super) trait Job: Send {
    /// Runs it once; whether what it wrote is to be kept.
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool;
    /// Tells the caller, once it is known what became of the group.
    fn answer(self: Box<Self>, group: &Result<(), GroupFailed>);
}

/// Nothing of a group of jobs was written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("nothing was written: {0}")]
pub(super) struct GroupFailed(Arc<rusqlite::Error>);

/// A job with its answer.
pub(super) struct WriteJob<F, T, E> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> WriteJob<F, T, E> {
    pub(super) fn new(job: F, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self { job: Some(job), result: None, reply }
    }
}

impl<F, T, E> Job for WriteJob<F, T, E>
where
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool {
        self.result = self.job.take().map(|job| job(tx));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, group: &Result<(), GroupFailed>) {
        let answer = match (group, self.result) {
            (Err(failed), _) => Err(E::from(StoreError::failed(failed.clone()))),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(E::from(StoreError::failed("the operation panicked"))),
        };
        // A caller that went away meanwhile needs no answer.
        let _ = self.reply.send(answer);
    }
}

struct Writer<'a> {
    connection: Connection,
    jobs: &'a Queue<GroupJob>,
    kept: Kept,
    head: watch::Sender<u64>,
    here: Arc<Here>,
    wal: WalWatch,
    erasure: Erasure,
}

/// What a group of jobs did that goes beyond its rows.
#[derive(Debug, Clone, Copy, Default)]
struct Effects {
    /// The head of the log, if it was raised.
    head: Option<u64>,
    /// Somebody was erased.
    erased: bool,
}

impl Writer<'_> {
    fn run(&mut self) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while let Some(first) = self.jobs.pop() {
            // Who is about to ask, on this core too, comes into this group.
            thread::yield_now();
            let committed = self.commit_group(first, &mut group);
            if let Err(failed) = &committed {
                tracing::error!(error = %failed.0, jobs = group.len(), "a group of writes failed");
            }
            for job in group.drain(..) {
                job.answer(&committed);
            }
            self.tidy_up();
        }
    }

    /// After the answers, so that nobody waits for it.
    fn tidy_up(&mut self) {
        let Self { connection, here, wal, erasure, .. } = self;
        if wal.is_due() {
            here.without_snapshots(|| wal.checkpoint(connection));
        }
        if erasure.is_due() {
            here.without_snapshots(|| erasure.clean(connection));
        }
    }

    /// Runs `first` and whatever waits by then, puts what was run into `group`, and commits.
    fn commit_group(&mut self, first: GroupJob, group: &mut Vec<GroupJob>) -> Result<(), GroupFailed> {
        let committed = self.run_and_commit(first, group);
        if committed.is_err() {
            self.roll_back();
        }
        let done = committed.map_err(|error| GroupFailed(Arc::new(error)))?;
        // Before any answer: who is told of a change must find its event here.
        if let Some(head) = done.head {
            self.head.send_replace(head);
        }
        if done.erased {
            self.erasure.note();
        }
        Ok(())
    }

    fn roll_back(&self) {
        self.kept.forget();
        // SQLite ends it by itself when the disk fails.
        if !self.connection.is_autocommit()
            && let Err(error) = execute(&self.connection, "ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    fn run_and_commit(&self, first: GroupJob, group: &mut Vec<GroupJob>) -> rusqlite::Result<Effects> {
        let mut done = Effects::default();
        let mut next = Some(first);
        let mut begun = execute(&self.connection, "BEGIN IMMEDIATE");
        while let Some(job) = next {
            group.push(job);
            if begun.is_ok()
                && let Some(job) = group.last_mut()
            {
                begun = self.run_in_savepoint(job.as_mut(), &mut done);
            }
            if begun.is_err() {
                break;
            }
            next = if group.len() < MAX_GROUP { self.jobs.try_pop() } else { None };
        }
        begun?;
        self.here.committing(|| execute(&self.connection, "COMMIT"))?;
        Ok(done)
    }

    /// Runs one job; an error is the whole transaction's.
    fn run_in_savepoint(&self, job: &mut dyn Job, done: &mut Effects) -> rusqlite::Result<()> {
        execute(&self.connection, "SAVEPOINT job")?;
        let mut tx = SqliteTx::with_kept(&self.connection, &self.kept);
        let keep = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        if keep.is_err() {
            tracing::error!("an operation that writes panicked");
        }
        if matches!(keep, Ok(true)) {
            *done = Effects { head: tx.appended().or(done.head), erased: done.erased || tx.erased() };
        } else {
            if tx.has_written_kept() {
                // And read again.
                self.kept.forget();
            }
            execute(&self.connection, "ROLLBACK TO job")?;
        }
        execute(&self.connection, "RELEASE job")
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Moves the write-ahead log into the database now and then.
struct WalWatch {
    /// Of 4 KiB, as of the last commit.
    pages: Arc<AtomicU32>,
    at_last_checkpoint: u32,
    copies: Copies,
}

/// New pages after which the WAL is moved, as far as readers let it: 16 MiB, in which most pages are there several times.
const CHECKPOINT_PAGES: u32 = 4_000;
/// Readers that always overlap never let the WAL start over; at this size the writer waits for them.
const TRUNCATE_PAGES: u32 = 16_000;

impl WalWatch {
    fn on(connection: &mut Connection, copies: Copies) -> Self {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
        let hook = move |_: &mut Wal, pages: i32| {
            seen.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        };
        if let Err(error) = connection.wal_hook(Some(hook)) {
            tracing::error!(%error, "the size of the write-ahead log cannot be watched");
        }
        Self { pages, at_last_checkpoint: 0, copies }
    }

    fn is_due(&mut self) -> bool {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.at_last_checkpoint {
            // It started over.
            self.at_last_checkpoint = 0;
        }
        pages - self.at_last_checkpoint >= CHECKPOINT_PAGES
    }

    fn checkpoint(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        // To wait for a copy that reads for seconds would hold all writes up.
        let may_wait = pages >= TRUNCATE_PAGES && !self.copies.is_reading();
        let mode = if may_wait { CheckpointMode::TRUNCATE } else { CheckpointMode::PASSIVE };
        self.at_last_checkpoint = pages;
        match connection.wal_checkpoint_v2(None::<&str>, mode) {
            Ok((pages, moved)) => tracing::debug!(pages, moved, "checkpoint"),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved into the database"),
        }
    }
}
