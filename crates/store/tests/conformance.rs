//! The suite that every backend runs, over SQLite.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod suite;

use propusk_core::store::{StoreError, Tx};
use propusk_store::{SqliteStore, Synchronous};
use suite::{Backend, conformance};
use tempfile::TempDir;

struct Sqlite {
    store: SqliteStore,
    _dir: TempDir,
}

async fn sqlite() -> Sqlite {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off).unwrap();
    Sqlite { store, _dir: dir }
}

impl Backend for Sqlite {
    async fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.store.read(job).await
    }

    async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.store.write(job).await
    }
}

conformance!(sqlite);

/// The same with every read on the caller's thread, where some rows are kept from one snapshot to the next.
mod briefly {
    use super::{Backend, Sqlite, StoreError, Tx, sqlite, suite};

    struct Briefly(Sqlite);

    async fn briefly() -> Briefly {
        Briefly(sqlite().await)
    }

    impl Backend for Briefly {
        async fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
            &self,
            job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
        ) -> Result<T, E> {
            self.0.store.read_briefly(job).await
        }

        async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
            &self,
            job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        ) -> Result<T, E> {
            self.0.store.write(job).await
        }
    }

    super::conformance!(briefly);
}
