//! The store over one SQLite file.

mod audit;
mod clients;
mod copy;
mod done;
mod erasure;
mod examine;
mod exchange_rules;
mod gone;
mod groups;
mod here;
mod idempotency;
mod kept;
mod keys;
mod lock;
mod log;
mod open;
mod readers;
mod refresh_tokens;
mod replace;
mod roles;
mod row;
mod services;
mod sessions;
#[cfg(test)]
mod statements;
mod transaction;
#[cfg(test)]
mod upgrade;
mod users;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use propusk_core::store::{StoreError, Tx};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use self::copy::Copies;
use self::here::Here;
use self::lock::DataLock;
use self::readers::ReadJob;
use self::writer::{GroupJob, WriteJob};
use crate::queue::{Queue, Refused};

pub use self::copy::{Backup, BackupError, BackupTurn, digest_of};
pub use self::examine::{Examination, known_schema};
pub use self::lock::holder;
pub use self::open::{OpenError, Synchronous, UnknownSynchronous};
pub use self::replace::{ReplaceError, Replaced, Replacement};

/// The data of one authority. It is this process's alone for as long as this lives.
pub struct SqliteStore {
    path: PathBuf,
    here: Arc<Here>,
    reads: Arc<Queue<ReadJob>>,
    writes: Arc<Queue<GroupJob>>,
    head: watch::Receiver<u64>,
    copies: Copies,
    running: Mutex<Option<Running>>,
}

/// What ends with the store, in this order.
struct Running {
    readers: Vec<JoinHandle<()>>,
    writer: JoinHandle<Connection>,
    lock: DataLock,
}

/// Most reads and most writes that may wait; one more is answered [`StoreError::Busy`].
const QUEUE_CAPACITY: usize = 1024;

impl SqliteStore {
    /// Opens the data at `path`, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, synchronous: Synchronous) -> Result<Self, OpenError> {
        let lock = DataLock::take(path)?;
        let (connection, head) = open::writer(path, synchronous)?;
        let (sender, head) = watch::channel(head);
        let reads = Arc::new(Queue::new(QUEUE_CAPACITY));
        let writes = Arc::new(Queue::new(QUEUE_CAPACITY));
        let readers = open::readers(path)?;
        let here = Arc::new(Here::with(open::lent(path)?));
        let copies = Copies::default();
        // From here on `Drop` ends what was started, should the rest fail.
        let writer = writer::start(connection, Arc::clone(&writes), sender, Arc::clone(&here), copies.clone())
            .map_err(|e| OpenError::thread(path, &e))?;
        let running = Running { readers: Vec::new(), writer, lock };
        let store =
            Self { path: path.to_owned(), here, reads, writes, head, copies, running: Mutex::new(Some(running)) };
        for thread in readers::start(readers, &store.reads) {
            let thread = thread.map_err(|e| OpenError::thread(path, &e))?;
            if let Some(running) = store.running.lock().as_mut() {
                running.readers.push(thread);
            }
        }
        Ok(store)
    }

    /// Runs a job that reads, in one snapshot that begins after this call.
    ///
    /// # Errors
    /// What the job answers, or a [`StoreError`] as `E`.
    pub async fn read<T, E>(&self, job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.reads.push(readers::job(job, reply)).map_err(not_taken)?;
        answer.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// The same for a job of a few point reads: it runs on this thread, unless there is no connection left.
    ///
    /// # Errors
    /// What the job answers, or a [`StoreError`] as `E`.
    pub async fn read_briefly<T, E>(&self, job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self.here.run(job) {
            Ok(answer) => answer,
            Err(job) => self.read(job).await,
        }
    }

    /// Runs a job that writes. What it answers, if it is no error, is durable by then; if it is one, nothing of the
    /// job was written. Jobs run one after the other and each sees what those before it wrote. A job runs even if
    /// nobody waits for its answer any more.
    ///
    /// # Errors
    /// What the job answers, or a [`StoreError`] as `E`.
    pub async fn write<T, E>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.writes.push(Box::new(WriteJob::new(job, reply))).map_err(not_taken)?;
        answer.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// The head of the log as it was last committed. It changes after the commit and before the answers of the
    /// writes that were committed with it, and ends when the store is closed.
    pub fn head_changes(&self) -> watch::Receiver<u64> {
        let mut head = self.head.clone();
        head.mark_unchanged();
        head
    }

    /// Runs what was asked for before, answers it, and gives the data free. What is asked for later is refused.
    pub async fn close(&self) {
        let Some(running) = self.stop() else { return };
        // Joining threads waits for a sync; a panic in here was reported by the thread that had it.
        let _ = tokio::task::spawn_blocking(move || running.join()).await;
    }

    /// Takes no more jobs; what is to be waited for, the first time.
    fn stop(&self) -> Option<Running> {
        self.reads.close();
        self.here.close();
        self.writes.close();
        self.running.lock().take()
    }
}

/// Ends the store like [`SqliteStore::close`], and blocks for it.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        let Some(running) = self.stop() else { return };
        if running.is_this_thread() {
            // The last owner was a job. A thread cannot wait for itself; without another one the data stays locked
            // until the process ends.
            let _ = std::thread::Builder::new().spawn(move || running.join());
        } else {
            running.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Running {
    fn is_this_thread(&self) -> bool {
        let this = std::thread::current().id();
        self.readers.iter().any(|thread| thread.thread().id() == this) || self.writer.thread().id() == this
    }

    /// The writer's connection is closed last: it is the one that takes the WAL away.
    fn join(self) {
        let readers: Vec<_> = self.readers.into_iter().map(JoinHandle::join).collect();
        let writer = self.writer.join();
        if readers.iter().any(Result::is_err) || writer.is_err() {
            tracing::error!("a thread of the store ended by a panic");
        }
        drop(writer);
        drop(self.lock);
    }
}

/// `authority.db` and `lock`: `authority.db.lock`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    with_ending(path, &format!(".{ending}"))
}

/// `authority.db` and `wal`: `authority.db-wal`, as SQLite names what belongs to a database.
fn beside_dash(path: &Path, part: &str) -> PathBuf {
    with_ending(path, &format!("-{part}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn not_taken<E: From<StoreError>>(refused: Refused) -> E {
    E::from(match refused {
        Refused::Full => StoreError::Busy,
        Refused::Closed => StoreError::failed("it is closed"),
    })
}

/// A job whose answer never came: it panicked, or its thread ended.
fn unanswered<E: From<StoreError>>() -> E {
    E::from(StoreError::failed("the operation ended without an answer"))
}
