//! What a write's answer promises: it is durable by then. And that many writes share the sync which that costs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod disk;

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, mpsc};

use disk::Disk;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use propusk_core::env::Timestamp;
use propusk_core::store::{LogState, StoreError, Tx};
use propusk_store::{SqliteStore, Synchronous};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_precedes_the_sync_of_its_write() {
    let at = Arc::new(Place::new(Synchronous::Full));
    let before = at.disk.wal_syncs();
    let writers = (0..16).map(|_| {
        let at = Arc::clone(&at);
        tokio::spawn(async move {
            for _ in 0..25 {
                let disk = Arc::clone(&at.disk);
                let write = at.store.write(move |tx| {
                    append(tx)?;
                    Ok::<_, StoreError>(disk.wal_syncs())
                });
                let syncs = write.await.unwrap();
                assert!(at.disk.wal_syncs() > syncs, "answered, and not synced since it was written");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let syncs = at.disk.wal_syncs() - before;
    assert_eq!(head(&at.store).await, 400);
    assert!((1..400).contains(&syncs), "{syncs} syncs for 400 writes");
}

#[tokio::test]
async fn nobody_is_answered_or_told_while_the_sync_runs() {
    let at = Place::new(Synchronous::Full);
    let mut heads = at.store.head_changes();
    at.disk.hold_syncs();
    let mut write = pin!(at.store.write(append));
    assert!((&mut write).now_or_never().is_none());
    at.disk.wait_for_held_sync();
    assert!((&mut write).now_or_never().is_none(), "answered before the sync");
    assert!(!heads.has_changed().unwrap(), "told before the sync");
    assert_eq!(head(&at.store).await, 0, "seen before the sync");
    at.disk.release_syncs();
    assert_eq!(write.await.unwrap(), 1);
    assert!(heads.has_changed().unwrap(), "told not later than it is answered");
    assert_eq!(*heads.borrow_and_update(), 1);
    assert_eq!(head(&at.store).await, 1);
}

#[tokio::test]
async fn a_loss_of_power_after_an_answer_loses_nothing() {
    let at = Place::new(Synchronous::Full);
    let mut answered = 0;
    for _ in 0..20 {
        let round: Vec<_> = (0..8).map(|_| at.store.write(append)).collect();
        answered += join_all(round).await.into_iter().map(Result::unwrap).count() as u64;
        let left = at.after_loss_of_power().await;
        assert_eq!(left.head, answered);
        assert_eq!(left.events, answered);
    }
}

/// The same would be lost without the sync: the disk above does show it.
#[tokio::test]
async fn a_weaker_setting_is_seen_to_lose_what_it_answered() {
    for weaker in [Synchronous::Normal, Synchronous::Off] {
        let at = Place::new(weaker);
        let syncs = at.disk.wal_syncs();
        at.store.write(append).await.unwrap();
        assert_eq!(at.disk.wal_syncs(), syncs);
        assert_eq!(at.after_loss_of_power().await.head, 0);
        assert_eq!(head(&at.store).await, 1);
    }
}

#[tokio::test]
async fn a_failed_sync_fails_every_write_of_its_group() {
    let at = Place::new(Synchronous::Full);
    at.store.write(append).await.unwrap();
    let heads = at.store.head_changes();
    at.disk.fail_syncs(true);
    let answers = at
        .in_one_group(vec![
            Box::new(append),
            Box::new(|tx| {
                append(tx)?;
                Err(StoreError::Busy)
            }),
            Box::new(append),
            // It wrote nothing, but may have seen what is not there any more.
            Box::new(|tx| Ok(tx.log_state()?.head)),
        ])
        .await;
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    }
    assert!(!heads.has_changed().unwrap());
    assert_eq!(head(&at.store).await, 1);
    at.disk.fail_syncs(false);
    assert_eq!(at.store.write(|tx| tx.log_state()).await.unwrap().head, 1, "what was seen in it is not kept");
    assert_eq!(at.store.write(append).await.unwrap(), 2, "and the store goes on");
    assert_eq!(at.after_loss_of_power().await.head, 2);
}

#[tokio::test]
async fn writes_that_wait_share_one_sync() {
    let at = Place::new(Synchronous::Full);
    at.store.write(append).await.unwrap();
    let before = at.disk.wal_syncs();
    let jobs: Vec<GroupJob> = (0..64).map(|_| Box::new(append) as GroupJob).collect();
    let answers = at.in_one_group(jobs).await;
    let seqs: Vec<u64> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(seqs, (2..66).collect::<Vec<_>>(), "in the order in which they came");
    assert_eq!(at.disk.wal_syncs() - before, 1);
}

#[tokio::test]
async fn a_job_that_fails_or_panics_takes_no_other_with_it() {
    let at = Place::new(Synchronous::Full);
    at.store.write(append).await.unwrap();
    let before = at.disk.wal_syncs();
    let answers = at
        .in_one_group(vec![
            Box::new(append),
            Box::new(|tx| {
                append(tx)?;
                append(tx)?;
                tx.log_state()?;
                Err(StoreError::Busy)
            }),
            Box::new(|tx| {
                let head = tx.log_state()?.head;
                append(tx).inspect(|seq| assert_eq!(*seq, head + 1))
            }),
            Box::new(|tx| {
                append(tx)?;
                panic!("as it is meant to")
            }),
            Box::new(|tx| {
                append(tx)?;
                // Refused by the database, half way.
                tx.raise_log_limits(u64::MAX, 0)?;
                append(tx)
            }),
            Box::new(append),
            Box::new(|tx| {
                append(tx)?;
                Err(StoreError::Busy)
            }),
        ])
        .await;
    let outcome = |answer: Result<u64, StoreError>| answer.map_err(|error| error.to_string());
    let answers: Vec<_> = answers.into_iter().map(outcome).collect();
    assert_eq!([&answers[0], &answers[2], &answers[5]], [&Ok(2), &Ok(3), &Ok(4)]);
    assert_eq!(answers[1], Err("the store is busy".to_owned()), "its own error");
    assert_eq!(answers[3], Err("the store failed: the operation panicked".to_owned()));
    assert!(answers[4].is_err());
    assert_eq!(at.disk.wal_syncs() - before, 1, "they were one group");
    assert_eq!(*at.store.head_changes().borrow(), 4);
    let left = at.after_loss_of_power().await;
    assert_eq!((left.head, left.events), (4, 4));
}

#[tokio::test]
async fn a_group_that_changes_nothing_costs_no_sync() {
    let at = Place::new(Synchronous::Full);
    at.store.write(append).await.unwrap();
    let heads = at.store.head_changes();
    let before = at.disk.wal_syncs();
    at.store.write(|tx| tx.log_state()).await.unwrap();
    at.store.write(|tx| tx.log_state().and(Err::<(), _>(StoreError::Busy))).await.unwrap_err();
    assert_eq!(at.disk.wal_syncs(), before);
    assert!(!heads.has_changed().unwrap());
}

#[tokio::test]
async fn the_write_ahead_log_does_not_grow_for_ever() {
    let at = Place::new(Synchronous::Off);
    let wal = at.dir.path().join("authority.db-wal");
    let mut largest = 0;
    for _ in 0..120 {
        let write = |tx: &mut dyn Tx| {
            (0..200).try_for_each(|_| tx.append_event("a", "x", &"x".repeat(2_000), Timestamp(0)).map(|_| ()))
        };
        at.store.write::<_, StoreError>(write).await.unwrap();
        largest = largest.max(std::fs::metadata(&wal).unwrap().len());
    }
    let written = 120 * 200 * 2_000;
    assert!(largest < written / 2, "{largest} bytes for {written} written");
}

/// A store on a watched disk.
struct Place {
    store: SqliteStore,
    disk: Arc<Disk>,
    dir: TempDir,
}

/// What is found again.
struct Left {
    head: u64,
    events: u64,
}

type GroupJob = Box<dyn FnOnce(&mut dyn Tx) -> Result<u64, StoreError> + Send>;

/// A test that fails must not wait for a sync that it holds.
impl Drop for Place {
    fn drop(&mut self) {
        self.disk.release_syncs();
    }
}

impl Place {
    fn new(synchronous: Synchronous) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::watch(&dir.path().canonicalize().unwrap());
        let store = open(dir.path(), synchronous);
        Self { store, disk, dir }
    }

    /// Keeps the writer busy with the first of the jobs until all others wait.
    async fn in_one_group(&self, mut jobs: Vec<GroupJob>) -> Vec<Result<u64, StoreError>> {
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let first = jobs.remove(0);
        let first = self.store.write(move |tx| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            first(tx)
        });
        let mut all: Vec<BoxFuture<'_, Result<u64, StoreError>>> = vec![Box::pin(first)];
        assert!((&mut all[0]).now_or_never().is_none());
        begins.await.unwrap();
        for job in jobs {
            let mut write: BoxFuture<'_, _> = Box::pin(self.store.write(job));
            assert!((&mut write).now_or_never().is_none());
            all.push(write);
        }
        go_on.send(()).unwrap();
        join_all(all).await
    }

    async fn after_loss_of_power(&self) -> Left {
        let dir = tempfile::tempdir().unwrap();
        self.disk.lose_power_into(dir.path());
        let store = open(dir.path(), Synchronous::Full);
        let read = store.read(|tx| Ok::<_, StoreError>((tx.log_state()?, tx.events_after(0, 10_000)?.len() as u64)));
        let (LogState { head, .. }, events) = read.await.unwrap();
        Left { head, events }
    }
}

fn open(dir: &Path, synchronous: Synchronous) -> SqliteStore {
    SqliteStore::open(&dir.join("authority.db"), synchronous).unwrap()
}

fn append(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.append_event("token_revoked", "x", "", Timestamp(0))
}

async fn head(store: &SqliteStore) -> u64 {
    store.read(|tx| tx.log_state()).await.unwrap().head
}
