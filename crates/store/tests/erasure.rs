//! What belonged to somebody who was deleted is in none of the files any more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use propusk_core::env::{Random, SystemRandom, Timestamp};
use propusk_core::id::{SessionId, UserId};
use propusk_core::store::{Client, GoneId, Session, SessionOrigin, StoreError, Tx, User};
use propusk_store::{SqliteStore, Synchronous};

/// By which a person is found in the files.
fn mark(n: u32) -> String {
    format!("somebody{n:05}x")
}

fn add(tx: &mut dyn Tx, random: &dyn Random, n: u32) -> Result<UserId, StoreError> {
    let mark = mark(n);
    let id = UserId::generate(random);
    let user = User {
        id: id.clone(),
        username: mark.clone(),
        email: Some(format!("{mark}@example.org")),
        password_hash: Some(format!("$argon2id${}", "h".repeat(80))),
        disabled: false,
        ended_seq: 0,
        created_at: Timestamp(1),
        version: 1,
    };
    assert!(tx.insert_user(&user)?);
    let session = SessionId::generate(random);
    tx.insert_session(&Session {
        id: session.clone(),
        user_id: id.clone(),
        client_id: "web".parse().unwrap(),
        epoch: 0,
        scope: None,
        created_at: Timestamp(1),
        expires_at: Timestamp(u64::from(u32::MAX)),
        token_key: None,
        ended_at: None,
        origin: SessionOrigin { address: Some(format!("{mark}.example")), user_agent: Some(format!("agent {mark}")) },
    })?;
    Ok(id)
}

async fn open(dir: &Path) -> SqliteStore {
    let store = SqliteStore::open(&dir.join("authority.db"), Synchronous::Off).unwrap();
    let client = Client::named("web".parse().unwrap(), "Web", Timestamp(1));
    store.write(move |tx| tx.insert_client(&client)).await.unwrap();
    store
}

async fn add_some(store: &SqliteStore, numbers: std::ops::Range<u32>) -> Vec<(u32, UserId)> {
    let add =
        store.write(|tx| numbers.map(|n| Ok((n, add(tx, &SystemRandom, n)?))).collect::<Result<Vec<_>, StoreError>>());
    add.await.unwrap()
}

async fn delete(store: &SqliteStore, id: UserId) {
    assert!(store.write(move |tx| tx.delete(&GoneId::User(id), Timestamp(2))).await.unwrap());
}

/// Which of these people are in one of the files.
fn found(dir: &Path, numbers: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let marked = bytes.windows(mark(0).len()).filter(|window| window.starts_with(b"somebody"));
        found.extend(marked.filter_map(|window| std::str::from_utf8(window.get(8..13)?).ok()?.parse::<u32>().ok()));
    }
    found.intersection(numbers).copied().collect()
}

/// It happens after the answer.
fn expect_erased(dir: &Path, numbers: impl IntoIterator<Item = u32>) {
    let end = Instant::now() + Duration::from_secs(20);
    let numbers = numbers.into_iter().collect();
    loop {
        let left = found(dir, &numbers);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{left:?} of {} are still in the files", numbers.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn who_is_deleted_is_in_no_file_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let people = add_some(&store, 0..3).await;
    assert_eq!(found(dir.path(), &[0, 1, 2].into()), [0, 1, 2].into());
    // The first may have the database written anew; those after it, within the hour, do not.
    for (n, id) in people {
        delete(&store, id).await;
        expect_erased(dir.path(), [n]);
    }
    store.close().await;
    expect_erased(dir.path(), 0..3);
}

/// The same bits in every run: where SQLite moves rows depends on them.
struct Predictable(AtomicU64);

impl Predictable {
    fn next(&self) -> u64 {
        // splitmix64.
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

impl Random for Predictable {
    fn fill(&self, dest: &mut [u8]) {
        dest.iter_mut().for_each(|byte| *byte = self.next().to_le_bytes()[0]);
    }
}

/// Adds people, and changes others in between, whose rows grow and shrink and are moved for that.
fn add_and_change(tx: &mut dyn Tx, people: u32) -> Result<Vec<(u32, UserId)>, StoreError> {
    let random = Predictable(AtomicU64::new(1));
    let mut added = Vec::new();
    for n in 0..people {
        added.push((n, add(tx, &random, n)?));
        let (other, id) = added.get(random.below(added.len())).unwrap();
        let user = tx.user(id)?.unwrap();
        let domain = "a".repeat(random.below(100));
        tx.update_user(&User { email: Some(format!("{}@{domain}.example.org", mark(*other))), ..user })?;
    }
    Ok(added)
}

#[tokio::test]
async fn nor_in_a_page_that_its_row_was_moved_from() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let people = store.write(|tx| add_and_change(tx, 8_000)).await.unwrap();
    let (deleted, left): (Vec<_>, Vec<_>) = people.into_iter().partition(|(n, _)| n % 10 == 0);
    let ids: Vec<UserId> = deleted.iter().map(|(_, id)| id.clone()).collect();
    let delete_all =
        store.write(move |tx| ids.into_iter().try_for_each(|id| tx.delete(&GoneId::User(id), Timestamp(2)).map(drop)));
    delete_all.await.unwrap();
    expect_erased(dir.path(), deleted.into_iter().map(|(n, _)| n));
    let (n, id) = left.first().unwrap().clone();
    let there = store.read(move |tx| tx.user(&id)).await.unwrap().unwrap();
    assert_eq!(there.username, mark(n), "those who were not deleted are there");
}

#[tokio::test]
async fn a_reader_holds_it_up_and_the_next_write_makes_up_for_that() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (n, id) = add_some(&store, 0..1).await.pop().unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let reading = store.read(move |tx| {
        let before = tx.log_state()?;
        begun.send(()).unwrap();
        may_go_on.recv().unwrap();
        Ok::<_, StoreError>(before)
    });
    let deleting = async {
        while has_begun.try_recv().is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        delete(&store, id).await;
        assert_eq!(found(dir.path(), &[n].into()), [n].into(), "the reader may still want it");
        // Writes do not wait for the reader.
        store.write(|tx| tx.set_done("something", Timestamp(3))).await.unwrap();
        go_on.send(()).unwrap();
    };
    let (read, ()) = tokio::join!(reading, deleting);
    read.unwrap();
    // As the authority writes every now and then.
    let end = Instant::now() + Duration::from_secs(20);
    while !found(dir.path(), &[n].into()).is_empty() {
        assert!(Instant::now() < end, "still in the files");
        store.write(|tx| tx.set_done("something else", Timestamp(3))).await.unwrap();
    }
}
