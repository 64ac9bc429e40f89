//! A copy of the whole database, made while it is written to.
//!
//! SQLite's `VACUUM INTO` reads one snapshot: nobody waits for it, neither readers nor the writer. The copy has no name
//! once it is whole, so nothing is left of it when whoever reads it goes away.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest;
use rusqlite::Connection;

use super::SqliteStore;

/// A consistent copy of the data, beginning to be read at its first byte. While it lives there is no second one.
#[derive(Debug)]
pub struct Backup {
    /// The copy; it has no name.
    pub file: File,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Whoever holds this keeps others from making one.
    pub turn: BackupTurn,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made or read.
    #[error("a backup is being made")]
    Running,
    /// SQLite or the disk failed; most often it is full.
    #[error("the database could not be copied to {}: {reason}", path.display())]
    Failed {
        /// The copy.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// One copy at a time, and what the writer has to know of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies {
    is_taken: Arc<AtomicBool>,
    is_reading: Arc<AtomicBool>,
}

impl Copies {
    /// Whether a copy reads its snapshot now: the write-ahead log cannot start over before it is done.
    pub(super) fn is_reading(&self) -> bool {
        self.is_reading.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<BackupTurn> {
        (!self.is_taken.swap(true, Ordering::AcqRel)).then(|| BackupTurn(self.clone()))
    }
}

/// Somebody's turn to make a copy and read it; over when it is dropped.
#[derive(Debug)]
pub struct BackupTurn(Copies);

impl BackupTurn {
    fn reading<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.is_reading.store(true, Ordering::Relaxed);
        let done = work();
        self.0.is_reading.store(false, Ordering::Relaxed);
        done
    }
}

impl Drop for BackupTurn {
    fn drop(&mut self) {
        self.0.is_reading.store(false, Ordering::Relaxed);
        self.0.is_taken.store(false, Ordering::Release);
    }
}

impl SqliteStore {
    /// Copies the data as of a moment after this call.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn backup(&self) -> Result<Backup, BackupError> {
        let turn = self.copies.take().ok_or(BackupError::Running)?;
        let path = self.path.clone();
        let beside = super::beside(&path, "backup");
        let failed = |reason: String| BackupError::Failed { path: beside.clone(), reason };
        let to = beside.clone();
        let made = tokio::task::spawn_blocking(move || make(&path, &to, turn).map_err(|error| error.to_string()));
        made.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn make(from: &Path, to: &Path, turn: BackupTurn) -> Result<Backup, Failure> {
    // A process that was killed in the middle may have left one.
    super::remove_if_there(to)?;
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(to)?;
    let copied = turn.reading(|| vacuum_into(from, to));
    std::fs::remove_file(to)?;
    copied?;
    let (length, sha256) = digest_of(&mut file)?;
    file.rewind()?;
    Ok(Backup { file, length, sha256, turn })
}

fn vacuum_into(from: &Path, to: &Path) -> Result<(), Failure> {
    let connection: Connection = super::open::connect(from)?;
    // Who keeps the copy syncs it.
    connection.pragma_update(None, "synchronous", "off")?;
    let to = to.to_str().ok_or("the path is not UTF-8")?;
    connection.execute("VACUUM INTO ?1", [to])?;
    Ok(())
}

/// Length and SHA-256 of a file from where it is read on.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(file: &mut File) -> std::io::Result<(u64, [u8; 32])> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        context.update(part);
        length += part.len() as u64;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok((length, sha256))
}
