//! Files with secrets: made with mode 0600, refused when others than their owner can read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::output::shell_word;

/// No file with a secret is larger.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a file with a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    /// Its group or others may read or write it.
    #[error("{shown} can be read by others than its owner (mode {mode:04o}). Mend it with: chmod 600 {word}", shown = path.display(), word = shell_word(&path.to_string_lossy()))]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not there, cannot be read or written, or is no text.
    #[error("{shown}: {error}", shown = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl PrivateFileError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    /// Whether the file is simply not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The text of a file that nobody but its owner can read, without white space around it.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    let failed = |error| PrivateFileError::io(path, error);
    let file = File::open(path).map_err(failed)?;
    // Of the open file, so that it cannot be another by then.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(256));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Reads a secret, or makes it and the file.
pub(crate) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Zeroizing<String>,
) -> Result<Zeroizing<String>, PrivateFileError> {
    match read(path) {
        Err(error) if error.is_missing() => {
            let text = make();
            replace(path, &text)?;
            Ok(text)
        }
        other => other,
    }
}

/// Writes a file that only its owner can read. It is there whole or not at all, also after a power cut.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    Reserved::replacing(path)?.fill(text).map(drop)
}

/// A file that only its owner can read, made sure of before there is something to write into it. Dropped unfilled, it
/// leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Reserved {
    path: PathBuf,
    folder: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Reserved {
    /// In the place of what may be there.
    pub(crate) fn replacing(path: &Path) -> Result<Self, PrivateFileError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let temporary = folder.join(format!(".{name}.{}", std::process::id()));
        // Left behind by a process with our id that died in the middle.
        let _ = std::fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| PrivateFileError::io(path, error))?;
        Ok(Self { path: path.to_owned(), folder: folder.to_owned(), temporary, file })
    }

    /// Only if there is none.
    pub(crate) fn new_file(path: &Path) -> Result<Self, PrivateFileError> {
        if path.symlink_metadata().is_ok() {
            return Err(PrivateFileError::io(path, io::ErrorKind::AlreadyExists.into()));
        }
        Self::replacing(path)
    }

    /// Writes it. It is there whole or not at all.
    pub(crate) fn fill(mut self, text: &str) -> Result<PathBuf, PrivateFileError> {
        self.write(text).map_err(|error| PrivateFileError::io(&self.path, error))?;
        Ok(self.path.clone())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Filled, it is not there any more.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn what_is_made_is_read_back_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = read_or_make(&path, || Zeroizing::new("first".to_owned())).unwrap();
        let again = read_or_make(&path, || Zeroizing::new("second".to_owned())).unwrap();
        assert_eq!((made.as_str(), again.as_str()), ("first", "first"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_others_can_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a key");
        replace(&path, "x").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            let command = format!("chmod 600 {}", shell_word(&path.to_string_lossy()));
            assert!(error.contains(&command) && error.contains(&format!("{mode:04o}")), "{error}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).unwrap().as_str(), "x");
        }
    }

    #[test]
    fn what_was_reserved_and_not_filled_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        drop(Reserved::new_file(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        Reserved::new_file(&path).unwrap().fill("psk_x").unwrap();
        assert_eq!(read(&path).unwrap().as_str(), "psk_x");
        assert!(Reserved::new_file(&path).unwrap_err().to_string().contains("exists"));
        drop(Reserved::replacing(&path).unwrap());
        assert_eq!(read(&path).unwrap().as_str(), "psk_x", "what was there stays until there is something better");
        Reserved::replacing(&path).unwrap().fill("psk_y").unwrap();
        assert_eq!(read(&path).unwrap().as_str(), "psk_y");
        Reserved::new_file(&folder.path().join("nowhere/secret")).unwrap_err();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/kek")).unwrap_err();
        assert!(error.is_missing() && error.to_string().starts_with("/nonexistent/kek: "), "{error}");
    }
}
