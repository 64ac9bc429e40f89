//! The data directory of `up`: whose it is, whether this version can read it, and the secrets in it.
//!
//! ```text
//! DIR/format          the version of this layout
//! DIR/lock            held by the `up` that uses it
//! DIR/kek             key-encryption key
//! DIR/cookie-key      seals the gateway's cookies
//! DIR/clients/*.secret  what gateway and services sign in with
//! DIR/authority.db, users.db, posts.db, cars.db
//! DIR/run.json        addresses of the running system
//! ```

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use propusk_core::env::SystemRandom;
use propusk_core::keys::Kek;
use propusk_core::secret::{CLIENT_SECRET_PREFIX, PlainSecret};
use zeroize::Zeroizing;

use crate::private;

/// The layout that this version reads and writes. It grows when an older version could not read the directory.
const FORMAT: u32 = 1;

/// The parts that have a client of their own.
const CLIENTS: [&str; 4] = ["gateway", "users", "posts", "cars"];

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    /// Another process has it.
    #[error("the data directory {shown} is in use by another `propusk up`{holder}. End that one, or give this one a directory of its own: --data DIR", shown = path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
        /// Its process, if known.
        holder: String,
    },
    /// A newer version made it.
    #[error("the data directory {shown} was made by a newer version of propusk (format {found}; this version reads up to {FORMAT}). Start that version, or use another directory: --data DIR", shown = path.display())]
    Newer {
        /// Which directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// A directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
    _temporary: Option<tempfile::TempDir>,
}

/// Where the data is if nobody says otherwise.
pub(crate) fn default_path() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().context("no home directory is known: give --data DIR")?;
    Ok(strategy.data_dir().join("propusk"))
}

impl DataDir {
    /// A directory that is gone when the process ends.
    pub(crate) fn temporary() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("propusk-").tempdir().context("no temporary directory")?;
        let mut opened = Self::open(folder.path())?;
        opened._temporary = Some(folder);
        Ok(opened)
    }

    /// Takes a directory for this process, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let path = made(path)?;
        let lock = take_lock(&path)?;
        check_format(&path)?;
        Ok(Self { path, _lock: lock, _temporary: None })
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the key-encryption key if there is none; its file.
    pub(crate) fn kek_file(&self) -> Result<PathBuf> {
        Ok(kek_file(&self.path)?.0)
    }

    /// Makes the key that seals cookies if there is none; its file.
    pub(crate) fn cookie_key_file(&self) -> Result<PathBuf> {
        let path = self.file("cookie-key");
        private::read_or_make(&path, || Kek::generate_text(&SystemRandom))?;
        Ok(path)
    }

    /// The file with a client's secret.
    pub(crate) fn client_secret_file(&self, client: &str) -> PathBuf {
        self.path.join("clients").join(format!("{client}.secret"))
    }

    /// The secrets of the clients of our own parts, made if they are not there.
    pub(crate) fn client_secrets(&self) -> Result<ClientSecrets> {
        let mut secrets = ClientSecrets { all: BTreeMap::new(), made: Vec::new() };
        for client in CLIENTS {
            let make = || {
                secrets.made.push(client);
                Zeroizing::new(PlainSecret::generate(CLIENT_SECRET_PREFIX, &SystemRandom).expose().to_owned())
            };
            let text = private::read_or_make(&self.client_secret_file(client), make)?;
            secrets.all.insert(client.to_owned(), PlainSecret::presented(text.as_str()));
        }
        Ok(secrets)
    }

    /// Takes back a secret that was made although the authority knows the client by another one, and says what to do.
    pub(crate) fn lost_secret(&self, client: &str) -> anyhow::Error {
        let path = self.client_secret_file(client);
        let _ = std::fs::remove_file(&path);
        anyhow::anyhow!(
            "{} is missing, and the authority keeps only a hash of what was in it. Put the file back from a backup, \
             or start with another directory: --data DIR",
            path.display()
        )
    }
}

/// What gateway and services sign in with.
#[derive(Debug)]
pub(crate) struct ClientSecrets {
    /// By client.
    pub(crate) all: BTreeMap<String, PlainSecret>,
    /// The clients whose files were not there.
    pub(crate) made: Vec<&'static str>,
}

/// Makes a directory if it is not there, without taking it: for what works on its database alone, which has a lock of its
/// own. The services of an `up` whose authority was stopped may go on meanwhile.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let path = made(path)?;
    check_format(&path)?;
    Ok(path)
}

/// The file with the authority's data in a data directory.
pub(crate) fn authority_database(path: &Path) -> PathBuf {
    path.join("authority.db")
}

/// Makes the key-encryption key of a data directory if there is none; its file, and whether it was made.
pub(crate) fn kek_file(path: &Path) -> Result<(PathBuf, bool)> {
    let (path, mut is_new) = (path.join("kek"), false);
    private::read_or_make(&path, || {
        is_new = true;
        Kek::generate_text(&SystemRandom)
    })?;
    Ok((path, is_new))
}

fn made(path: &Path) -> Result<PathBuf> {
    let cannot = || format!("cannot use {} as data directory", path.display());
    for folder in [path.to_owned(), path.join("clients")] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
    }
    path.canonicalize().with_context(cannot)
}

fn take_lock(path: &Path) -> Result<File> {
    let file = path.join("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file);
    let lock = lock.with_context(|| format!("cannot write {}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let running = crate::run_file::read(path).ok().flatten();
            let holder = running.map(|run| format!(" (process {})", run.pid)).unwrap_or_default();
            Err(DataError::InUse { path: path.to_owned(), holder }.into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
    }
}

fn check_format(path: &Path) -> Result<()> {
    let file = path.join("format");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            private::replace(&file, &FORMAT.to_string())?;
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let found = text.trim().parse::<u32>().with_context(|| {
        format!("{} does not hold a number: it is not a data directory of propusk, or damaged", file.display())
    })?;
    if found > FORMAT { Err(DataError::Newer { path: path.to_owned(), found }.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another") && error.contains("--data DIR"), "{error}");
        drop(first);
        DataDir::open(folder.path()).unwrap();
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(DataDir::open(folder.path()).unwrap());
        std::fs::write(folder.path().join("format"), "7\n").unwrap();
        let error = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("newer version") && error.contains("format 7"), "{error}");
    }

    #[test]
    fn secrets_stay_and_nobody_else_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("data");
        let data = DataDir::open(&path).unwrap();
        let kek = std::fs::read_to_string(data.kek_file().unwrap()).unwrap();
        assert!(Kek::from_text(&kek).is_ok());
        let secrets = data.client_secrets().unwrap();
        assert_eq!((secrets.all.len(), secrets.made.len()), (4, 4));
        drop(data);
        let data = DataDir::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(data.kek_file().unwrap()).unwrap(), kek);
        let again = data.client_secrets().unwrap();
        assert!(again.all == secrets.all && again.made.is_empty());
        for file in [data.kek_file().unwrap(), data.cookie_key_file().unwrap(), data.client_secret_file("cars")] {
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
