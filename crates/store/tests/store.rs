//! The store around its transactions: limits, ends, and who is told what.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::sync::{Arc, mpsc};

use futures_util::FutureExt as _;
use parking_lot::RwLock;
use propusk_core::env::Timestamp;
use propusk_core::id::ClientId;
use propusk_core::store::{Client, StoreError, Tx};
use propusk_store::{OpenError, SqliteStore, Synchronous};
use tempfile::TempDir;
use tokio::sync::oneshot;

#[tokio::test]
async fn too_many_waiting_writes_are_answered_busy() {
    let (store, _dir) = fresh();
    let (blocker, go_on) = block_writer(&store).await;
    let mut waiting = Vec::new();
    let refused = loop {
        let mut write = Box::pin(store.write(append));
        match (&mut write).now_or_never() {
            None => waiting.push(write),
            Some(answer) => break answer,
        }
        assert!(waiting.len() <= 10_000, "the queue has no end");
    };
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(waiting.len() >= 64, "{} may wait", waiting.len());
    go_on.send(()).unwrap();
    blocker.await.unwrap();
    let wanted = waiting.len() as u64;
    for write in waiting {
        write.await.unwrap();
    }
    assert_eq!(head(&store).await, wanted, "those that were taken were done, the refused one was not");
    store.write(append).await.unwrap();
}

#[tokio::test]
async fn too_many_waiting_reads_are_answered_busy() {
    let (store, _dir) = fresh();
    let mut waiting = Vec::new();
    let gate = Arc::new(RwLock::new(()));
    let closed = gate.write();
    let refused = loop {
        let gate = Arc::clone(&gate);
        let mut read = Box::pin(store.read(move |tx| {
            drop(gate.read());
            tx.log_state()
        }));
        match (&mut read).now_or_never() {
            None => waiting.push(read),
            Some(answer) => break answer,
        }
        assert!(waiting.len() <= 10_000, "the queue has no end");
    };
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    drop(closed);
    for read in waiting {
        read.await.unwrap();
    }
}

/// Readers that close last cannot take it away.
#[tokio::test]
async fn what_is_closed_is_one_file() {
    for _ in 0..50 {
        let (store, dir) = fresh();
        store.write(append).await.unwrap();
        store.read(|tx| tx.log_state()).await.unwrap();
        store.read_briefly(|tx| tx.log_state()).await.unwrap();
        store.close().await;
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with("-wal")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn a_write_is_done_even_if_its_caller_has_gone() {
    let (store, _dir) = fresh();
    let (blocker, go_on) = block_writer(&store).await;
    let mut abandoned = Box::pin(store.write(append));
    assert!((&mut abandoned).now_or_never().is_none());
    drop(abandoned);
    go_on.send(()).unwrap();
    blocker.await.unwrap();
    assert_eq!(store.write(append).await.unwrap(), 2);
}

#[tokio::test]
async fn a_read_that_panics_is_an_error_and_the_reader_goes_on() {
    let (store, _dir) = fresh();
    for _ in 0..8 {
        let answer = store.read(|tx| {
            tx.log_state()?;
            if tx.log_state()?.head == 0 { panic!("as it is meant to") } else { Ok::<(), StoreError>(()) }
        });
        assert!(matches!(answer.await, Err(StoreError::Failed(_))));
    }
    // None of them left its snapshot behind.
    store.write(append).await.unwrap();
    for _ in 0..8 {
        assert_eq!(head(&store).await, 1);
    }
}

#[tokio::test]
async fn a_brief_read_is_done_at_once_and_sees_what_was_answered_before() {
    let (store, _dir) = fresh();
    for seq in 1..=50 {
        assert_eq!(store.write(append).await.unwrap(), seq);
        let here = std::thread::current().id();
        let read =
            store.read_briefly(move |tx| Ok::<_, StoreError>((tx.log_state()?.head, std::thread::current().id())));
        assert_eq!(read.now_or_never().unwrap().unwrap(), (seq, here));
    }
}

/// Rows that are kept from one snapshot to the next are of the snapshot that is shown, and so are those beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn brief_reads_never_mix_what_was_before_and_after_a_commit() {
    const CHANGES: u64 = 300;
    let (store, _dir) = fresh();
    let store = Arc::new(store);
    let id: ClientId = "cars".parse().unwrap();
    let client = Client::named(id.clone(), "0".to_owned(), Timestamp(0));
    let insert = client.clone();
    store.write(move |tx| tx.insert_client(&insert)).await.unwrap();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, id) = (Arc::clone(&store), id.clone());
            tokio::spawn(async move {
                let mut last = 0;
                while last < CHANGES {
                    let id = id.clone();
                    let read = store.read_briefly(move |tx| {
                        let (client, log) = (tx.client(&id)?, tx.log_state()?);
                        Ok::<_, StoreError>((client.unwrap().name, log.head, tx.client(&id)?.unwrap().name))
                    });
                    let (name, head, again) = read.await.unwrap();
                    assert_eq!((&name, &name), (&head.to_string(), &again));
                    assert!(head >= last, "time goes forward");
                    last = head;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 1..=CHANGES {
        let client = Client { name: n.to_string(), ..client.clone() };
        store.write(move |tx| append(tx).and_then(|_| tx.update_client(&client))).await.unwrap();
        let id = id.clone();
        let name = store.read_briefly(move |tx| Ok::<_, StoreError>(tx.client(&id)?.unwrap().name)).await.unwrap();
        assert_eq!(name, n.to_string(), "what was answered is seen");
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

/// The connection that writes keeps rows from one job to the next, until one of them is written.
#[tokio::test]
async fn jobs_that_write_see_what_was_written_and_nothing_that_was_taken_back() {
    let (store, _dir) = fresh();
    let id: ClientId = "cars".parse().unwrap();
    let client = Client::named(id.clone(), "0".to_owned(), Timestamp(0));
    let seen = || {
        let id = id.clone();
        let seen =
            store.write(move |tx| Ok::<_, StoreError>((tx.client(&id)?.map(|it| it.name), tx.log_state()?.head)));
        async { seen.await.unwrap() }
    };
    // One that is not there is kept, too.
    assert_eq!(seen().await, (None, 0));
    let insert = client.clone();
    store.write(move |tx| tx.insert_client(&insert)).await.unwrap();
    for n in 1..=3 {
        let before = ((n - 1).to_string(), n - 1);
        assert_eq!(seen().await, (Some(before.0.clone()), before.1));
        let change = |is_kept: bool, panics: bool| {
            let client = Client { name: n.to_string(), ..client.clone() };
            store.write(move |tx| {
                tx.update_client(&client)?;
                append(tx)?;
                let now = (tx.client(&client.id)?.unwrap().name, tx.log_state()?.head);
                assert_eq!(now, (client.name, n), "a job sees what it wrote");
                assert!(!panics, "as it is meant to");
                if is_kept { Ok(()) } else { Err(StoreError::failed("as it is meant to")) }
            })
        };
        for panics in [false, true] {
            change(false, panics).await.unwrap_err();
            assert_eq!(seen().await, (Some(before.0.clone()), before.1), "it was taken back");
        }
        change(true, false).await.unwrap();
        assert_eq!(seen().await, (Some(n.to_string()), n));
    }
}

/// A snapshot that is kept keeps the write-ahead log from starting over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brief_reads_between_writes_do_not_make_the_log_grow() {
    const MOST: u64 = 40 << 20;
    let (store, dir) = fresh();
    let mut paths = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = paths.find(|path| path.to_string_lossy().ends_with("-wal")).unwrap();
    for n in 1..=10_000 {
        store.write(append).await.unwrap();
        assert_eq!(store.read_briefly(|tx| tx.log_state()).await.unwrap().head, n);
        let bytes = std::fs::metadata(&log).unwrap().len();
        assert!(bytes < MOST, "{bytes} bytes after {n} writes");
    }
}

#[tokio::test]
async fn a_brief_read_within_another_finds_a_connection_or_a_thread() {
    let (store, _dir) = fresh();
    let store = Arc::new(store);
    store.write(append).await.unwrap();
    fn nested(store: &Arc<SqliteStore>, depth: usize) -> u64 {
        let inner = Arc::clone(store);
        let read = store.read_briefly(move |tx| {
            let below = if depth == 0 { 0 } else { nested(&inner, depth - 1) };
            Ok::<_, StoreError>(below + tx.log_state()?.head)
        });
        futures_util::future::FutureExt::now_or_never(read).map_or(0, Result::unwrap)
    }
    // Deeper than there are connections: those that find none are queued and, here, not waited for.
    assert!((1..=18).contains(&nested(&store, 17)));
}

#[tokio::test]
async fn a_brief_read_that_panics_leaves_no_snapshot_behind() {
    let (store, _dir) = fresh();
    for head in 0..8 {
        let answer = store.read_briefly(|tx| {
            tx.log_state()?;
            if tx.log_state()?.head < 99 { panic!("as it is meant to") } else { Ok::<(), StoreError>(()) }
        });
        assert!(matches!(answer.await, Err(StoreError::Failed(_))));
        assert_eq!(store.read_briefly(|tx| tx.log_state()).await.unwrap().head, head);
        store.write(append).await.unwrap();
    }
}

#[tokio::test]
async fn a_brief_read_cannot_begin_after_the_end() {
    let (store, dir) = fresh();
    store.write(append).await.unwrap();
    assert_eq!(store.read_briefly(|tx| tx.log_state()).await.unwrap().head, 1);
    store.close().await;
    let late = store.read_briefly(|tx| tx.log_state()).await.unwrap_err();
    assert_eq!(late.to_string(), "the store failed: it is closed");
    assert!(!dir.path().join("authority.db-wal").exists(), "no connection was left open");
}

#[tokio::test]
async fn closing_answers_what_waits_and_refuses_what_comes() {
    let (store, dir) = fresh();
    let (blocker, go_on) = block_writer(&store).await;
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(store.write(append))).collect();
    for write in &mut waiting {
        assert!(write.now_or_never().is_none());
    }
    let mut heads = store.head_changes();
    let mut closing = Box::pin(store.close());
    assert!((&mut closing).now_or_never().is_none());
    let late = store.write(append).await.unwrap_err();
    assert_eq!(late.to_string(), "the store failed: it is closed");
    assert!(store.read(|tx| tx.log_state()).await.is_err());
    go_on.send(()).unwrap();
    closing.await;
    blocker.await.unwrap();
    for (write, seq) in waiting.into_iter().zip(1..) {
        assert_eq!(write.await.unwrap(), seq);
    }
    assert_eq!(*heads.borrow_and_update(), 10);
    assert!(heads.changed().await.is_err(), "the end is told");
    store.close().await;

    assert!(!dir.path().join("authority.db-wal").exists(), "the write-ahead log is in the database");
    let again = SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Full).unwrap();
    assert_eq!(head(&again).await, 10);
    assert_eq!(*again.head_changes().borrow(), 10, "the head is known from the start");
}

#[tokio::test]
async fn a_job_may_be_the_last_owner_of_the_store() {
    let (store, dir) = fresh();
    let store = Arc::new(store);
    let (go_on, wait) = mpsc::channel();
    let (dropped, is_dropped) = oneshot::channel();
    let (owner, last) = (Arc::clone(&store), Arc::clone(&store));
    let mut write = Box::pin(async move {
        let job = move |tx: &mut dyn Tx| {
            wait.recv().unwrap();
            let seq = append(tx);
            drop(last);
            dropped.send(()).unwrap();
            seq
        };
        owner.write(job).await
    });
    assert!((&mut write).now_or_never().is_none());
    drop((write, store));
    go_on.send(()).unwrap();
    is_dropped.await.unwrap();
    // The thread that waits for the writer then gives the lock back.
    let again = loop {
        match SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off) {
            Ok(store) => break store,
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(head(&again).await, 1);
}

#[tokio::test]
async fn the_head_is_told_to_everyone_who_asks() {
    let (store, _dir) = fresh();
    let mut early = store.head_changes();
    assert_eq!(*early.borrow(), 0);
    store.write(append).await.unwrap();
    store.write(|tx| append(tx).and_then(|_| append(tx))).await.unwrap();
    early.changed().await.unwrap();
    assert_eq!(*early.borrow_and_update(), 3);
    let late = store.head_changes();
    assert_eq!((*late.borrow(), late.has_changed().unwrap()), (3, false), "only what comes later is a change");
    store.write(|tx| tx.raise_log_limits(5, 0)).await.unwrap();
    assert!(!early.has_changed().unwrap(), "no event, no change");
}

#[test]
fn it_can_be_shared_and_says_where_it_is() {
    fn share<T: Send + Sync + 'static>(store: T) -> T {
        store
    }
    let (store, _dir) = fresh();
    assert!(format!("{:?}", share(store)).contains("authority.db"));
}

fn fresh() -> (SqliteStore, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off).unwrap(), dir)
}

/// A job that holds the writer until it is told to go on.
async fn block_writer(store: &SqliteStore) -> (impl Future<Output = Result<(), StoreError>>, mpsc::Sender<()>) {
    let (begun, begins) = oneshot::channel();
    let (go_on, wait) = mpsc::channel();
    let mut blocker = Box::pin(store.write(move |_| {
        begun.send(()).unwrap();
        wait.recv().unwrap();
        Ok(())
    }));
    assert!((&mut blocker).now_or_never().is_none());
    begins.await.unwrap();
    (blocker, go_on)
}

fn append(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.append_event("token_revoked", "x", "", Timestamp(0))
}

async fn head(store: &SqliteStore) -> u64 {
    store.read(|tx| tx.log_state()).await.unwrap().head
}
