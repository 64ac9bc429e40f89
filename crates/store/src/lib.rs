//! The authority's storage: the traits of `propusk_core::store` over SQLite.
//!
//! [`SqliteStore`] owns the data. Writes are closures over one transaction: they run on one thread, every one that
//! waits in a savepoint of its own, and are answered after the one `COMMIT` that makes all of them durable. Reads run
//! on a few connections that cannot write, each in a snapshot that begins after the call.
//!
//! **To add an entity**: a migration in `migrations/`, a file in `sqlite/` named as in `propusk_core::store` with its
//! SQL in constants and a row for each in the list that the test prepares, and its cases in `tests/suite`, which every
//! backend runs.

mod queue;
mod sqlite;

pub use sqlite::{
    Backup, BackupError, BackupTurn, Examination, OpenError, ReplaceError, Replaced, Replacement, SqliteStore,
    Synchronous, UnknownSynchronous, digest_of, holder, known_schema,
};
