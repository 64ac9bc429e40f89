//! The lock that makes the data one process's.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::beside;
use super::open::OpenError;

/// A `flock` on a file next to the database. The system takes it back however the process ends; the file stays, for
/// whoever deleted it could lock another one than the process that waits.
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, "lock");
        let io = |error: &std::io::Error| OpenError::io(&path, error);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).to_owned();
        let mut file = options.open(&path).map_err(|e| io(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: database.to_owned(), pid: noted(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(io(&error)),
        }
        note_holder(&mut file).map_err(|e| io(&e))?;
        Ok(Self { _file: file })
    }
}

/// Whether a process has the data, and which one if that can be told. A process that starts in the very moment of the
/// look is told that the data is in use.
pub fn holder(database: &Path) -> Option<Option<u32>> {
    let mut file = File::open(beside(database, "lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(noted(&mut file)),
        // Given back when it is closed.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Who has it, as far as the file tells: it is written just after the lock is taken.
fn noted(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
