//! Putting a backup in the place of a database.
//!
//! The copy is made ready beside it, under another name, and takes its place by one `rename`: whatever dies in the
//! middle, there is the old database or the new one. The old one stays, under a name of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::examine::Examination;
use super::lock::DataLock;
use super::open::{self, OpenError};
use super::{beside, beside_dash, remove_if_there};

/// A copy of a backup, which nobody else opens, and the place that it is for.
pub struct Replacement {
    target: PathBuf,
    made: PathBuf,
    _lock: DataLock,
}

/// Why nothing was put in place.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// It is in use, no database of ours, of a newer schema, or cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not whole.
    #[error("{} is damaged: {}", path.display(), faults.join("; "))]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        faults: Vec<String>,
    },
    /// It is a part of a database.
    #[error(
        "{} is no backup: its last changes are in {} beside it. Make a backup of the running authority with \
         `propusk backup`",
        path.display(), beside_dash(path, "wal").display()
    )]
    NoBackup {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed; most often it is full.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// What was in the place before.
#[derive(Debug)]
pub enum Replaced {
    /// Nothing.
    Nothing,
    /// A database.
    Database {
        /// The head of its log.
        head: u64,
        /// The longest lease that it knows of.
        longest_lease_ms: u64,
    },
    /// Something that cannot be read, and why.
    Unreadable(OpenError),
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replacement").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Replacement {
    /// Takes the place at `target` for this process, and puts a copy of `backup` beside it.
    ///
    /// # Errors
    /// [`ReplaceError`]; then nothing is left beside it.
    pub fn prepare(backup: &Path, target: &Path) -> Result<Self, ReplaceError> {
        let lock = DataLock::take(target)?;
        let replacement = Self { target: target.to_owned(), made: beside(target, "restoring"), _lock: lock };
        replacement.sweep()?;
        replacement.copy(backup)?;
        Ok(replacement)
    }

    /// The copy, to be opened and changed before it is put in place.
    pub fn path(&self) -> &Path {
        &self.made
    }

    /// What is in the place now. A write-ahead log that a killed process left is moved into the database, so that all of
    /// it is in the one file.
    pub fn replaced(&self) -> Replaced {
        if !self.target.exists() {
            return Replaced::Nothing;
        }
        let read = || {
            let examination = Examination::of(&self.target)?;
            let (head, longest_lease_ms) = examination.head_and_longest_lease()?;
            drop(examination);
            open::fold_write_ahead_log(&self.target)?;
            Ok(Replaced::Database { head, longest_lease_ms })
        };
        read().unwrap_or_else(Replaced::Unreadable)
    }

    /// Puts the copy, which must be closed by now, in its place. What was there gets the name `aside`.
    ///
    /// # Errors
    /// [`ReplaceError::Io`].
    pub fn put_in_place(self, aside: &Path) -> Result<(), ReplaceError> {
        let wal = beside_dash(&self.made, "wal");
        if wal.metadata().is_ok_and(|wal| wal.len() > 0) {
            return Err(io_at(&wal)(io::Error::other("it should have been moved into the database")));
        }
        File::open(&self.made).and_then(|made| made.sync_all()).map_err(io_at(&self.made))?;
        if self.target.exists() {
            // A second name for the same file: there is no moment at which the place is empty.
            std::fs::hard_link(&self.target, aside).map_err(io_at(aside))?;
            self.put_log_aside(aside)?;
        }
        std::fs::rename(&self.made, &self.target).map_err(io_at(&self.target))?;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
    }

    /// A write-ahead log is only there if the old database could not be read. The new one must not find it.
    fn put_log_aside(&self, aside: &Path) -> Result<(), ReplaceError> {
        let wal = beside_dash(&self.target, "wal");
        if wal.exists() {
            std::fs::rename(&wal, beside_dash(aside, "wal")).map_err(io_at(&wal))?;
        }
        let shm = beside_dash(&self.target, "shm");
        remove_if_there(&shm).map_err(io_at(&shm))
    }

    /// A copy that only its owner can read, checked where nobody can change it any more.
    fn copy(&self, backup: &Path) -> Result<(), ReplaceError> {
        open::expect_database(backup)?;
        if beside_dash(backup, "wal").metadata().is_ok_and(|wal| wal.len() > 0) {
            return Err(ReplaceError::NoBackup { path: backup.to_owned() });
        }
        let copied = || {
            let mut from = File::open(backup)?;
            let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.made)?;
            io::copy(&mut from, &mut to)
        };
        copied().map_err(io_at(&self.made)).and_then(|_| self.check(backup))
    }

    /// What is wrong is told of the backup, not of our copy.
    fn check(&self, backup: &Path) -> Result<(), ReplaceError> {
        let faults = Examination::of(&self.made).and_then(|examination| match examination.schema() {
            0 => Ok(vec!["there is nothing in it".to_owned()]),
            _ => examination.faults(),
        });
        match faults {
            Ok(faults) if faults.is_empty() => Ok(()),
            Ok(faults) => Err(ReplaceError::Damaged { path: backup.to_owned(), faults }),
            Err(OpenError::Sqlite { reason, .. }) => {
                Err(ReplaceError::Damaged { path: backup.to_owned(), faults: vec![reason] })
            }
            Err(error) => Err(error.about(backup).into()),
        }
    }

    /// Removes what this one, or one that died in the middle, made beside the place.
    fn sweep(&self) -> Result<(), ReplaceError> {
        let made = &self.made;
        let parts = ["wal", "shm", "journal"].map(|part| beside_dash(made, part));
        for path in [made.clone(), beside(made, "lock")].iter().chain(&parts) {
            remove_if_there(path).map_err(io_at(path))?;
        }
        Ok(())
    }
}

/// What was not put in place leaves nothing behind.
impl Drop for Replacement {
    fn drop(&mut self) {
        if let Err(error) = self.sweep() {
            tracing::warn!(%error, "something is left of what was being restored");
        }
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> ReplaceError {
    let path = path.to_owned();
    move |error| ReplaceError::Io { path: path.clone(), error }
}
