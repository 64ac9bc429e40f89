//! A copy of a database that is in use, and putting one in the place of another.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use propusk_core::env::Timestamp;
use propusk_core::store::StoreError;
use propusk_store::{
    BackupError, Examination, OpenError, ReplaceError, Replaced, Replacement, SqliteStore, Synchronous, digest_of,
    known_schema,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// Every write appends two events; a copy in the middle of one would have an odd number.
#[tokio::test]
async fn a_copy_is_of_one_moment_while_writes_go_on_and_leaves_nothing_behind() {
    let (dir, path) = place();
    let store = Arc::new(open(&path));
    append(&store, 100).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (writing, stopped) = (Arc::clone(&store), Arc::clone(&stop));
    let writer = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            append(&writing, 1).await;
        }
    });
    let copies = tempfile::tempdir().unwrap();
    let mut heads = Vec::new();
    for n in 0..10 {
        let copy = copies.path().join(format!("{n}.db"));
        write_backup(&store, &copy).await;
        let examination = Examination::of(&copy).unwrap();
        assert_eq!((examination.schema(), examination.faults().unwrap()), (known_schema(), vec![]));
        let (head, _) = examination.head_and_longest_lease().unwrap();
        let events = examination.read(|tx| tx.events_after(0, 1_000_000)).unwrap();
        assert_eq!((events.len() as u64, head % 2), (head, 0), "a copy of one moment");
        heads.push(head);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(heads.is_sorted() && heads[0] < heads[9], "writes went on meanwhile: {heads:?}");
    let mut left: Vec<_> = names(dir.path());
    left.retain(|name| !matches!(name.as_str(), "authority.db" | "authority.db-wal" | "authority.db-shm"));
    assert_eq!(left, ["authority.db.lock"]);
    assert_eq!(names(copies.path()).len(), 10, "looking at a copy makes nothing beside it");
}

#[tokio::test]
async fn there_is_one_copy_at_a_time_and_its_digest_is_right() {
    let (_dir, path) = place();
    let store = open(&path);
    append(&store, 1).await;
    let mut first = store.backup().await.unwrap();
    assert!(matches!(store.backup().await.unwrap_err(), BackupError::Running));
    let mut bytes = Vec::new();
    first.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, first.length);
    let copy = path.with_file_name("copy");
    std::fs::write(&copy, &bytes).unwrap();
    assert_eq!(digest_of(&mut std::fs::File::open(&copy).unwrap()).unwrap(), (first.length, first.sha256));
    drop(first);
    store.backup().await.unwrap();
    // What a process that was killed in the middle left behind is in nobody's way.
    std::fs::write(path.with_file_name("authority.db.backup"), "half").unwrap();
    store.backup().await.unwrap();
}

#[tokio::test]
async fn a_copy_takes_the_place_of_a_database_whose_last_changes_are_in_its_log() {
    let (dir, path) = place();
    let backup = dir.path().join("backup");
    let store = open(&path);
    append(&store, 1).await;
    write_backup(&store, &backup).await;
    append(&store, 5).await;
    store.write(|tx| tx.raise_longest_lease_ms(7_000)).await.unwrap();
    killed(store, &path).await;
    assert!(path.with_file_name("authority.db-wal").exists());

    let replacement = Replacement::prepare(&backup, &path).unwrap();
    let replaced = replacement.replaced();
    assert!(matches!(replaced, Replaced::Database { head: 12, longest_lease_ms: 7_000 }), "{replaced:?}");
    let made = replacement.path().to_owned();
    let store = open(&made);
    assert_eq!(head(&store).await, 2);
    append(&store, 1).await;
    store.close().await;
    let aside = dir.path().join("old");
    replacement.put_in_place(&aside).unwrap();

    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let mut left = names(dir.path());
    left.sort();
    assert_eq!(left, ["authority.db", "authority.db.lock", "backup", "old"]);
    assert_eq!(head(&open(&path)).await, 4);
    assert_eq!(head(&open(&aside)).await, 12, "all of the old one is in the one file");
}

#[tokio::test]
async fn a_copy_takes_an_empty_place_and_that_of_something_unreadable() {
    let (dir, path) = place();
    let backup = made_backup(dir.path()).await;
    let replacement = Replacement::prepare(&backup, &path).unwrap();
    assert!(matches!(replacement.replaced(), Replaced::Nothing));
    replacement.put_in_place(&dir.path().join("unused")).unwrap();
    assert_eq!(head(&open(&path)).await, 2);

    std::fs::write(&path, "no database at all").unwrap();
    std::fs::write(path.with_file_name("authority.db-wal"), "its log").unwrap();
    let replacement = Replacement::prepare(&backup, &path).unwrap();
    assert!(matches!(replacement.replaced(), Replaced::Unreadable(OpenError::NotADatabase { .. })));
    replacement.put_in_place(&dir.path().join("old")).unwrap();
    assert_eq!(head(&open(&path)).await, 2, "the log of another database is not read into this one");
    assert_eq!(std::fs::read_to_string(dir.path().join("old")).unwrap(), "no database at all");
    assert_eq!(std::fs::read_to_string(dir.path().join("old-wal")).unwrap(), "its log");
    assert!(!dir.path().join("unused").exists());
}

#[tokio::test]
async fn a_database_in_use_is_not_replaced() {
    let (dir, path) = place();
    let backup = made_backup(dir.path()).await;
    let store = open(&path);
    let refused = Replacement::prepare(&backup, &path).unwrap_err();
    assert!(matches!(refused, ReplaceError::Open(OpenError::InUse { pid: Some(_), .. })), "{refused}");
    store.close().await;
    let replacement = Replacement::prepare(&backup, &path).unwrap();
    let refused = SqliteStore::open(&path, Synchronous::Off).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "nobody starts meanwhile: {refused}");
    drop(replacement);
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_by_name_and_nothing_is_changed() {
    let (dir, path) = place();
    let good = made_backup(dir.path()).await;
    drop(open(&path));
    let bytes = std::fs::read(&good).unwrap();
    let page = 4096;
    let mut torn = bytes.clone();
    for byte in &mut torn[page * 3..page * 5] {
        *byte = !*byte;
    }
    let refuse = |name: &str, content: &[u8]| {
        let file = dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        refused(&file, &path)
    };
    let error = refuse("cut", &bytes[..bytes.len() / 2]);
    assert!(matches!(error, ReplaceError::Damaged { .. }), "{error}");
    let error = refuse("torn", &torn);
    assert!(matches!(error, ReplaceError::Damaged { .. }), "{error}");
    for (name, content) in [("text", "hello, world".as_bytes()), ("empty", b"")] {
        let error = refuse(name, content);
        assert!(matches!(error, ReplaceError::Open(OpenError::NotADatabase { .. })), "{error}");
    }
    let error = refused(&dir.path().join("missing"), &path);
    assert!(matches!(error, ReplaceError::Open(OpenError::Io { .. })), "{error}");

    let foreign = dir.path().join("foreign");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let error = refused(&foreign, &path);
    assert!(matches!(error, ReplaceError::Open(OpenError::Foreign { .. })), "{error}");

    let newer = dir.path().join("newer");
    std::fs::write(&newer, &bytes).unwrap();
    let sql = "INSERT INTO refinery_schema_history
        SELECT 1000, 'from_the_future', applied_on, '1' FROM refinery_schema_history LIMIT 1";
    Connection::open(&newer).unwrap().execute_batch(sql).unwrap();
    let error = refused(&newer, &path);
    assert!(matches!(error, ReplaceError::Open(OpenError::NewerSchema { found: 1000, .. })), "{error}");

    let orphans = dir.path().join("orphans");
    std::fs::write(&orphans, &bytes).unwrap();
    let sql = "PRAGMA foreign_keys = OFF; INSERT INTO user_roles VALUES ('u_none', 'none', 'none')";
    Connection::open(&orphans).unwrap().execute_batch(sql).unwrap();
    let error = refused(&orphans, &path);
    assert!(matches!(error, ReplaceError::Damaged { .. }) && error.to_string().contains("user_roles"), "{error}");

    // Somebody copied the file of a running authority.
    let live = dir.path().join("live");
    std::fs::write(&live, &bytes).unwrap();
    std::fs::write(dir.path().join("live-wal"), "changes").unwrap();
    let error = refused(&live, &path);
    assert!(matches!(error, ReplaceError::NoBackup { .. }), "{error}");
}

#[track_caller]
fn refused(backup: &Path, target: &Path) -> ReplaceError {
    let before = std::fs::read(target).unwrap();
    let error = Replacement::prepare(backup, target).unwrap_err();
    assert!(error.to_string().starts_with(backup.to_str().unwrap()), "{error}");
    assert!(std::fs::read(target).unwrap() == before, "{error}");
    let folder = target.parent().unwrap();
    assert!(!names(folder).iter().any(|name| name.contains("restoring")), "{:?}", names(folder));
    error
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authority.db");
    (dir, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Synchronous::Off).unwrap()
}

/// A database with two events.
async fn made_backup(dir: &Path) -> PathBuf {
    let store = open(&dir.join("other.db"));
    append(&store, 1).await;
    let backup = dir.join("backup");
    write_backup(&store, &backup).await;
    backup
}

async fn write_backup(store: &SqliteStore, to: &Path) {
    let mut backup = store.backup().await.unwrap();
    let mut file = std::fs::File::create_new(to).unwrap();
    std::io::copy(&mut backup.file, &mut file).unwrap();
}

/// Two events at a time.
async fn append(store: &SqliteStore, times: usize) {
    for _ in 0..times {
        let two = store.write(|tx| {
            tx.append_event("a", "x", "", Timestamp(0))?;
            tx.append_event("a", "x", "", Timestamp(0))
        });
        two.await.unwrap();
    }
}

async fn head(store: &SqliteStore) -> u64 {
    store.read(|tx| Ok::<_, StoreError>(tx.log_state()?.head)).await.unwrap()
}

/// As if the process had been killed: what is in the write-ahead log stays there.
async fn killed(store: SqliteStore, path: &Path) {
    let kept = tempfile::tempdir().unwrap();
    for name in ["authority.db", "authority.db-wal"] {
        std::fs::copy(path.with_file_name(name), kept.path().join(name)).unwrap();
    }
    store.close().await;
    for name in ["authority.db", "authority.db-wal"] {
        std::fs::copy(kept.path().join(name), path.with_file_name(name)).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
