//! Opening the file: is it ours, can we read it, and what must be changed before we do.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(super) mod embedded {
    #![allow(missing_docs, unreachable_pub, reason = "the macro writes no docs")]
    #![allow(clippy::unwrap_used, reason = "the macro parses file names that it parsed when it was expanded")]
    refinery::embed_migrations!("migrations");
}

/// `PRAGMA synchronous`: what an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// A loss of power.
    #[default]
    Full,
    /// The end of the process; the last writes may be lost with the power, the database stays whole.
    Normal,
    /// The end of the process; with the power the whole database may be lost.
    Off,
}

impl Synchronous {
    const ALL: [Self; 3] = [Self::Full, Self::Normal, Self::Off];

    /// As it is configured.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Synchronous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no setting that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be full, normal or off")]
pub struct UnknownSynchronous;

impl FromStr for Synchronous {
    type Err = UnknownSynchronous;

    fn from_str(text: &str) -> Result<Self, UnknownSynchronous> {
        Self::ALL.into_iter().find(|setting| setting.as_str() == text).ok_or(UnknownSynchronous)
    }
}

/// Why the data was not opened, and what to do about it. Nothing of it was changed, unless a migration failed; then
/// all of that migration was taken back.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error(
        "{} is in use by another process{}: end that one first, or choose another data directory",
        path.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// Who has it, if it could be told.
        pid: Option<u32>,
    },
    /// A newer program made it.
    #[error(
        "{} has schema version {found}, and this program knows versions up to {known}: start the newer program that \
         wrote it, or restore a backup that was made before the upgrade",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// The file is something else.
    #[error("{} is not an SQLite database: move it away, or choose another data directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database is another program's.
    #[error(
        "{} is a database of some other program: move it away, or choose another data directory",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The file system has no shared memory or no locks.
    #[error(
        "{} cannot use a write-ahead log (SQLite offers {mode}): choose a data directory on a local disk",
        path.display()
    )]
    NoWriteAheadLog {
        /// The database.
        path: PathBuf,
        /// The journal that SQLite would use.
        mode: String,
    },
    /// The schema could not be brought up to date.
    #[error("{} cannot be brought to schema version {known}: {reason}", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// The version that was wanted.
        known: i32,
        /// What went wrong.
        reason: String,
    },
    /// SQLite failed.
    #[error("{} cannot be opened: {reason}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The file could not be made, read or locked.
    #[error("{} cannot be opened: {reason}; check that its directory exists and is this user's", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// No thread could be started.
    #[error("no thread could be started for {}: {reason}", path.display())]
    Thread {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }

    pub(super) fn thread(path: &Path, error: &std::io::Error) -> Self {
        Self::Thread { path: path.to_owned(), reason: error.to_string() }
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            _ => Self::Sqlite { path, reason: error.to_string() },
        }
    }

    /// The same about another file, of which the one was a copy.
    pub(super) fn about(mut self, other: &Path) -> Self {
        let (Self::InUse { path, .. }
        | Self::NewerSchema { path, .. }
        | Self::NotADatabase { path }
        | Self::Foreign { path }
        | Self::NoWriteAheadLog { path, .. }
        | Self::Migration { path, .. }
        | Self::Sqlite { path, .. }
        | Self::Io { path, .. }
        | Self::Thread { path, .. }) = &mut self;
        other.clone_into(path);
        self
    }
}

/// Opens or makes the database for the one connection that writes, with its schema up to date, and reads the head of
/// the log. The caller holds the data's lock.
pub(super) fn writer(path: &Path, synchronous: Synchronous) -> Result<(Connection, u64), OpenError> {
    expect_database_or_nothing(path)?;
    let mut connection = connect(path)?;
    expect_ours(path, &connection)?;
    let sqlite = |error: &rusqlite::Error| OpenError::sqlite(path, error);
    use_write_ahead_log(path, &connection)?;
    connection.pragma_update(None, "synchronous", synchronous.as_str()).map_err(|e| sqlite(&e))?;
    // What is deleted is written over, and what is sorted or copied on the way never gets into other files.
    connection.pragma_update(None, "secure_delete", true).map_err(|e| sqlite(&e))?;
    connection.pragma_update(None, "temp_store", "memory").map_err(|e| sqlite(&e))?;
    migrate(path, &mut connection)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(|e| sqlite(&e))?;
    // A row that `REPLACE` takes away counts as deleted: what refuses that, refuses this.
    connection.pragma_update(None, "recursive_triggers", true).map_err(|e| sqlite(&e))?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE).map_err(|e| sqlite(&e))?;
    // The writer's thread does it when no caller waits for it.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(|e| sqlite(&e))?;
    let head: i64 = connection.query_row("SELECT head FROM log", [], |row| row.get(0)).map_err(|e| sqlite(&e))?;
    Ok((connection, u64::try_from(head).unwrap_or_default()))
}

/// The connections that read on threads of their own.
pub(super) fn readers(path: &Path) -> Result<Vec<Connection>, OpenError> {
    read_only(path, cores().clamp(2, 4))
}

/// The connections that are lent to the threads that serve, of which there are as many as cores.
pub(super) fn lent(path: &Path) -> Result<Vec<Connection>, OpenError> {
    read_only(path, cores().min(MOST_LENT))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// They cannot write, whatever runs on them.
fn read_only(path: &Path, count: usize) -> Result<Vec<Connection>, OpenError> {
    (0..count)
        .map(|_| {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true).map_err(|error| OpenError::sqlite(path, &error))?;
            Ok(connection)
        })
        .collect()
}

/// "Prpk"; the first migration writes it.
const APPLICATION_ID: i32 = 0x5072_706B;

/// How long a connection waits for another one of ours: at a checkpoint, or while the WAL is recovered.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// KiB, as SQLite counts them, below zero: the inner pages of every index of some million sessions, and those of the
/// sessions that are refreshed by now. What does not fit is in the system's cache.
const WRITER_CACHE: i32 = -8 * 1024;

/// Each keeps 2 MiB of pages in memory.
const MOST_LENT: usize = 16;

/// More than there are statements.
const STATEMENT_CACHE: usize = 128;

/// A file that is there must begin as SQLite's do, for SQLite takes a short text for an empty database and would
/// write over it. Makes one that only its owner can read otherwise; what SQLite puts beside it is made alike.
fn expect_database_or_nothing(path: &Path) -> Result<(), OpenError> {
    let io = |error: &std::io::Error| OpenError::io(path, error);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).to_owned();
    let file = options.open(path).map_err(|e| io(&e))?;
    let begin = beginning(&file).map_err(|e| io(&e))?;
    if begin.is_empty() || begin == *b"SQLite format 3\0" {
        return Ok(());
    }
    Err(OpenError::NotADatabase { path: path.to_owned() })
}

/// The same of a file that is only read, and that has to be there.
pub(super) fn expect_database(path: &Path) -> Result<(), OpenError> {
    let begin = File::open(path).and_then(|file| beginning(&file)).map_err(|error| OpenError::io(path, &error))?;
    if begin == *b"SQLite format 3\0" { Ok(()) } else { Err(OpenError::NotADatabase { path: path.to_owned() }) }
}

/// Moves what is in the write-ahead log into the database, which nobody else has open.
pub(super) fn fold_write_ahead_log(path: &Path) -> Result<(), OpenError> {
    let connection = connect(path)?;
    // A connection that has read nothing yet does not know of the log, and would move nothing.
    let read = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    let folded = read.and_then(|()| connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE));
    folded.map(drop).map_err(|error| OpenError::sqlite(path, &error))
}

fn beginning(file: &File) -> std::io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    file.take(16).read_to_end(&mut begin)?;
    Ok(begin)
}

pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    // Each connection is used by one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let prepare = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        // Else plans may depend on the values of parameters, and a statement that goes back to the cache, which takes
        // its values away, is planned anew at its next use. That costs several times what most of ours do.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    };
    prepare().map_err(|error| OpenError::sqlite(path, &error))
}

/// Refuses a database that another program or a newer one made, before anything in it is changed.
/// Its schema version; 0 while it has none.
pub(super) fn expect_ours(path: &Path, connection: &Connection) -> Result<i32, OpenError> {
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i32>(0)).map_err(|error| OpenError::sqlite(path, &error))
    };
    let is_history_only = number(TABLES_BUT_HISTORY)? == 0;
    let is_ours = number("PRAGMA application_id")? == APPLICATION_ID;
    if !is_ours && !is_history_only {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if number(HAS_HISTORY)? == 0 {
        return Ok(0);
    }
    let found = number(SCHEMA_VERSION)?;
    let known = known_version();
    if found > known {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// None in a new database, also in one whose first start ended before its first migration was done.
const TABLES_BUT_HISTORY: &str = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> 'refinery_schema_history'";
const HAS_HISTORY: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'";
const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";

pub(super) fn known_version() -> i32 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(refinery::Migration::version).max().unwrap_or_default()
}

fn use_write_ahead_log(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(|error| OpenError::sqlite(path, &error))?;
    if mode != "wal" {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned(), mode });
    }
    Ok(())
}

/// All of the migrations that are missing, or none. Foreign keys are off for it, so that one may rebuild a table.
fn migrate(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    connection.pragma_update(None, "foreign_keys", false).map_err(|error| OpenError::sqlite(path, &error))?;
    let report = embedded::migrations::runner().set_grouped(true).run(connection).map_err(|error| {
        OpenError::Migration { path: path.to_owned(), known: known_version(), reason: error.to_string() }
    })?;
    if let Some(last) = report.applied_migrations().last() {
        tracing::info!(version = last.version(), path = %path.display(), "the schema is up to date");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_read_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let (_writer, head) = writer(&path, Synchronous::Off).unwrap();
        assert_eq!(head, 0);
        for reader in readers(&path).unwrap().into_iter().chain(lent(&path).unwrap()) {
            let refused = reader.execute("UPDATE log SET head = 1", []).unwrap_err();
            assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::ReadOnly));
        }
    }

    #[test]
    fn a_cached_statement_is_planned_once() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _) = writer(&dir.path().join("a.db"), Synchronous::Off).unwrap();
        for key in ["a", "b", "c"] {
            let mut last_event = writer.prepare_cached(super::super::log::SELECT_LAST).unwrap();
            assert!(!last_event.exists(["token_revoked", key]).unwrap());
            assert_eq!(last_event.get_status(rusqlite::StatementStatus::RePrepare), 0);
        }
    }

    #[test]
    fn the_writer_keeps_what_it_was_told() {
        let dir = tempfile::tempdir().unwrap();
        for (synchronous, level) in [(Synchronous::Full, 2), (Synchronous::Normal, 1), (Synchronous::Off, 0)] {
            let (writer, _) = writer(&dir.path().join("a.db"), synchronous).unwrap();
            let get = |name| writer.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).unwrap();
            assert_eq!([get("synchronous"), get("foreign_keys"), get("wal_autocheckpoint")], [level, 1, 0]);
            assert_eq!([get("secure_delete"), get("temp_store")], [1, 2]);
        }
    }

    #[test]
    fn the_audit_log_is_append_only() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _) = writer(&dir.path().join("a.db"), Synchronous::Off).unwrap();
        let append =
            "INSERT INTO audit (at, actor, action, subject, outcome, request_id) VALUES (1, '', 'a', '', 'ok', '')";
        for _ in 0..2 {
            writer.execute(append, []).unwrap();
        }
        for sql in [
            "UPDATE audit SET actor = 'somebody'",
            "UPDATE audit SET n = 9 WHERE n = 1",
            "UPDATE OR REPLACE audit SET n = 1 WHERE n = 2",
            "DELETE FROM audit WHERE n = 2",
            "DELETE FROM audit",
            "INSERT OR REPLACE INTO audit (n, at, actor, action, subject, outcome, request_id) VALUES (2, 1, '', 'b', '', '', '')",
            "INSERT INTO audit (n, at, actor, action, subject, outcome, request_id) VALUES (2, 1, '', 'b', '', '', '')
                ON CONFLICT (n) DO UPDATE SET action = 'b'",
        ] {
            let refused = writer.execute(sql, []).unwrap_err().to_string();
            assert_eq!(refused, "the audit log is append-only", "{sql}");
        }
        let left: Vec<(i64, String)> = writer
            .prepare("SELECT n, action FROM audit")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(left, [(1, "a".to_owned()), (2, "a".to_owned())]);
    }
}
