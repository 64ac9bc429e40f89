//! A service's own database: one SQLite file, one connection, and work on it off the async threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use propusk_verify::axum::ApiError;
use propusk_verify::problem::Problem;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Mutex, Semaphore};

/// How many requests may wait for the database. More are sent away to come again.
const MAX_WAITING: usize = 256;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was made by a newer version of this service.
    #[error("it is of version {found}, and this program knows {known}: start the newer program that made it")]
    Newer {
        /// The version of the file.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Why work on the database was not done.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// To be tried again.
    #[error("too many requests wait for the database")]
    Busy,
    /// SQLite says no.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It panicked.
    #[error("the work on the database broke off")]
    BrokeOff,
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Busy => Problem::new(503, "busy", "Too much is going on; try again").retry_after(1).into(),
            error => {
                tracing::error!(%error, "a request failed");
                Problem::new(500, "internal", "Something went wrong on our side").into()
            }
        }
    }
}

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Db {
    connection: Arc<Mutex<Connection>>,
    slots: Arc<Semaphore>,
}

impl Db {
    /// Opens the file, makes it if there is none, and brings its schema up to date by [`migrate`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, steps: &[&str]) -> Result<Self, OpenError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What was acknowledged survives a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(&mut connection, steps)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), slots: Arc::new(Semaphore::new(MAX_WAITING)) })
    }

    /// Runs `work` in a transaction, which is kept if it says `Ok` and undone if not.
    ///
    /// # Errors
    /// What `work` says, or a [`DbError`] as `E`.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run(move |connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
            let done = work(&tx)?;
            tx.commit().map_err(DbError::from)?;
            Ok(done)
        })
        .await
    }

    /// Runs `work`, which only reads.
    ///
    /// # Errors
    /// What `work` says, or that it was not done.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.run(move |connection| work(connection)).await
    }

    async fn run<T, E>(&self, work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let _slot = self.slots.try_acquire().map_err(|_| DbError::Busy)?;
        let mut connection = self.connection.clone().lock_owned().await;
        let done = tokio::task::spawn_blocking(move || work(&mut connection)).await;
        done.unwrap_or_else(|_| Err(DbError::BrokeOff.into()))
    }
}

/// Each step takes the schema one version further; `user_version` counts the steps taken. Steps are appended, never
/// edited. All that are missing are taken, or none.
///
/// # Errors
/// [`OpenError`].
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), OpenError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut known = 0;
    for (version, step) in (1..).zip(steps) {
        if version > found {
            tx.execute_batch(step)?;
            tx.pragma_update(None, "user_version", version)?;
        }
        known = version;
    }
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(path: &Path, steps: &[&str]) -> Result<u32, OpenError> {
        let mut connection = Connection::open(path)?;
        migrate(&mut connection, steps)?;
        Ok(connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0))?)
    }

    #[test]
    fn each_step_is_taken_once_and_a_newer_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.sqlite");
        let steps = ["CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1)", "INSERT INTO log VALUES (2)"];
        assert_eq!(opened(&path, &steps[..1]).unwrap(), 1);
        assert_eq!(opened(&path, &steps).unwrap(), 2);
        assert_eq!(opened(&path, &steps).unwrap(), 2);
        assert!(matches!(opened(&path, &steps[..1]), Err(OpenError::Newer { found: 2, known: 1 })));
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.sqlite");
        let bad = ["CREATE TABLE log (n INTEGER)", "INSERT INTO log VALUES (1); INSERT INTO nowhere VALUES (1)"];
        assert!(matches!(opened(&path, &bad), Err(OpenError::Sqlite(_))));
        assert_eq!(opened(&path, &bad[..1]).unwrap(), 0);
    }
}
