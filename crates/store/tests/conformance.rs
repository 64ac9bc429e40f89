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

/// The same with reads on the thread that asks, where some rows are kept from one snapshot to the next. Jobs of the suite
/// wait for each other, so each asks from a thread of its own.
mod briefly {
    use std::sync::Arc;

    use super::{Backend, Sqlite, StoreError, Tx, sqlite, suite};

    struct Briefly(Arc<Sqlite>);

    async fn briefly() -> Briefly {
        Briefly(Arc::new(sqlite().await))
    }

    impl Backend for Briefly {
        async fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
            &self,
            job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
        ) -> Result<T, E> {
            let (sqlite, runtime) = (Arc::clone(&self.0), tokio::runtime::Handle::current());
            tokio::task::spawn_blocking(move || runtime.block_on(sqlite.store.read_briefly(job))).await.unwrap()
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

/// The same with reads on the connection that writes, which keeps some rows until it writes them.
mod in_jobs {
    use super::{Backend, Sqlite, StoreError, Tx, sqlite, suite};

    struct InJobs(Sqlite);

    async fn in_jobs() -> InJobs {
        InJobs(sqlite().await)
    }

    impl Backend for InJobs {
        async fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
            &self,
            job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
        ) -> Result<T, E> {
            self.0.store.write(move |tx| job(&*tx)).await
        }

        async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
            &self,
            job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        ) -> Result<T, E> {
            self.0.store.write(job).await
        }
    }

    super::conformance!(one at a time: in_jobs);
}
