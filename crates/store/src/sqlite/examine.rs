//! Looking at a database without changing it, whether somebody has it open or not: for a check-up, and for a copy that
//! is to take the place of another.

use std::path::{Path, PathBuf};

use propusk_core::store::{StoreError, Tx};
use rusqlite::{Connection, OpenFlags};

use super::open::{self, OpenError};
use super::transaction::SqliteTx;

/// A database that is only read.
#[derive(Debug)]
pub struct Examination {
    path: PathBuf,
    connection: Connection,
    schema: i32,
}

/// Most of what is wrong is the consequence of the first few things.
const MOST_FAULTS: u8 = 10;

impl Examination {
    /// Opens what is there.
    ///
    /// # Errors
    /// [`OpenError`], if it is no database of ours, of a newer schema, or cannot be read.
    pub fn of(path: &Path) -> Result<Self, OpenError> {
        open::expect_database(path)?;
        let sqlite = |error: &rusqlite::Error| OpenError::sqlite(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(path), flags).map_err(|e| sqlite(&e))?;
        connection.busy_timeout(open::BUSY_TIMEOUT).map_err(|e| sqlite(&e))?;
        let schema = open::expect_ours(path, &connection)?;
        Ok(Self { path: path.to_owned(), connection, schema })
    }

    /// Its schema version; 0 if its first start ended before anything was made.
    pub fn schema(&self) -> i32 {
        self.schema
    }

    /// Everything that is wrong with its pages, indexes and references; empty if it is sound.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`], if it is so damaged that it cannot be checked.
    pub fn faults(&self) -> Result<Vec<String>, OpenError> {
        let mut faults = self.texts(&format!("PRAGMA integrity_check({MOST_FAULTS})"))?;
        faults.retain(|text| text != "ok");
        let orphans = self.texts("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check")?;
        faults.extend(orphans.into_iter().map(|table| format!("rows of {table} refer to what is not there")));
        Ok(faults)
    }

    /// The head of the log and the longest lease, in milliseconds.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`].
    pub fn head_and_longest_lease(&self) -> Result<(u64, u64), OpenError> {
        let number = |sql: &str| {
            let number: i64 = self.connection.query_row(sql, [], |row| row.get(0)).map_err(|e| self.failed(&e))?;
            Ok(u64::try_from(number).unwrap_or_default())
        };
        Ok((number("SELECT head FROM log")?, number("SELECT longest_ms FROM leases")?))
    }

    /// Reads in one snapshot. Only of a database whose schema is [`known_schema`]: an older one lacks what is read.
    ///
    /// # Errors
    /// What the job answers, or a [`StoreError`] as `E`.
    pub fn read<T, E: From<StoreError>>(&self, job: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let failed = |error: rusqlite::Error| E::from(StoreError::failed(error));
        let snapshot = self.connection.unchecked_transaction().map_err(failed)?;
        job(&SqliteTx::new(&snapshot))
    }

    fn texts(&self, sql: &str) -> Result<Vec<String>, OpenError> {
        let query = || self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>();
        query().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> OpenError {
        OpenError::sqlite(&self.path, error)
    }
}

/// The schema version that this program writes.
pub fn known_schema() -> i32 {
    open::known_version()
}

/// Without a write-ahead log beside it nobody has it open, or nobody has written yet: then it is read as it is, and
/// nothing is made beside it.
fn uri(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let encoded: String = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let is_still = !super::beside_dash(path, "wal").exists();
    format!("file:{encoded}{}", if is_still { "?immutable=1" } else { "" })
}
