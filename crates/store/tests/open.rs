//! Opening the data: what is made, what is found again, and what is refused with what advice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use propusk_core::env::Timestamp;
use propusk_store::{OpenError, SqliteStore, Synchronous};
use rusqlite::Connection;
use tempfile::TempDir;

#[tokio::test]
async fn what_is_made_is_its_owners_alone_and_is_found_again() {
    let (dir, path) = place();
    let store = open(&path).unwrap();
    append(&store).await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap().head, 1);
}

#[tokio::test]
async fn it_is_opened_once_at_a_time() {
    let (_dir, path) = place();
    let store = open(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(&refused, OpenError::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{refused}");
    store.close().await;
    let store = open(&path).unwrap();
    append(&store).await;
}

#[tokio::test]
async fn another_process_is_named_and_its_lock_ends_with_it() {
    let (_dir, path) = place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "holds_the_data_until_it_is_killed"])
        .env(HELD_BY_CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "opened"), "the child did not open the data");

    let refused = open(&path).unwrap_err();
    let advice = format!(
        "{} is in use by another process (pid {}): end that one first, or choose another data directory",
        path.display(),
        child.id()
    );
    assert_eq!(refused.to_string(), advice);

    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap().head, 1, "what it was told is durable is there");
}

const HELD_BY_CHILD: &str = "TEST_HELD_BY_CHILD";

/// Not a test by itself: the other process of the one above.
#[tokio::test]
#[ignore = "the other process of another_process_is_named_and_its_lock_ends_with_it"]
async fn holds_the_data_until_it_is_killed() {
    let Some(path) = std::env::var_os(HELD_BY_CHILD) else { return };
    let store = open(Path::new(&path)).unwrap();
    append(&store).await;
    println!("opened");
    std::future::pending::<()>().await;
    drop(store);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_dir, path) = place();
    drop(open(&path).unwrap());
    let known = alter(&path, |connection| {
        let known: i32 =
            connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0)).unwrap();
        connection
            .execute_batch(
                "INSERT INTO refinery_schema_history
                    SELECT 1000, 'from_the_future', applied_on, '1' FROM refinery_schema_history LIMIT 1;
                CREATE TABLE from_the_future (x);",
            )
            .unwrap();
        known
    });
    let refused = expect_refused_and_untouched(&path);
    assert!(matches!(refused, OpenError::NewerSchema { found: 1000, known: k, .. } if k == known), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("schema version 1000") && text.contains(&format!("versions up to {known}")), "{text}");
}

#[test]
fn a_changed_migration_is_refused_and_left_alone() {
    let (_dir, path) = place();
    drop(open(&path).unwrap());
    alter(&path, |connection| {
        connection.execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1", []).unwrap()
    });
    let refused = expect_refused_and_untouched(&path);
    assert!(matches!(refused, OpenError::Migration { .. }), "{refused}");
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    for content in ["x".to_owned(), "hello, world\n".repeat(2_000), format!("SQLite format 3\0{}", "x".repeat(9_000))] {
        let (_dir, path) = place();
        std::fs::write(&path, content).unwrap();
        let refused = expect_refused_and_untouched(&path);
        assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    }
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let (_dir, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    let refused = expect_refused_and_untouched(&path);
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");

    // Also if it comes by its migrations as we do.
    let (_dir, path) = place();
    drop(open(&path).unwrap());
    alter(&path, |connection| connection.pragma_update(None, "application_id", 7).unwrap());
    let refused = expect_refused_and_untouched(&path);
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}

#[tokio::test]
async fn a_first_start_that_ended_too_early_is_begun_again() {
    let (_dir, path) = place();
    std::fs::write(&path, "").unwrap();
    append(&open(&path).unwrap()).await;

    let (_dir, path) = place();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name VARCHAR(255),
                applied_on VARCHAR(255), checksum VARCHAR(255))",
        )
        .unwrap();
    append(&open(&path).unwrap()).await;
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (dir, _) = place();
    for path in [dir.path().join("none/authority.db"), dir.path().to_owned()] {
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
    }
}

#[test]
fn settings_are_read_as_they_are_written() {
    for (text, setting) in [("full", Synchronous::Full), ("normal", Synchronous::Normal), ("off", Synchronous::Off)] {
        assert_eq!(text.parse(), Ok(setting));
        assert_eq!(setting.to_string(), text);
    }
    assert_eq!(Synchronous::default(), Synchronous::Full);
    assert_eq!("FULL".parse::<Synchronous>().unwrap_err().to_string(), "must be full, normal or off");
}

/// Where nothing is yet.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authority.db");
    (dir, path)
}

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Synchronous::Full)
}

async fn append(store: &SqliteStore) {
    store.write(|tx| tx.append_event("a", "x", "", Timestamp(0))).await.unwrap();
}

/// Changes a database behind the store's back, all of it in the one file.
fn alter<T>(path: &Path, change: impl FnOnce(&Connection) -> T) -> T {
    change(&Connection::open(path).unwrap())
}

fn expect_refused_and_untouched(path: &Path) -> OpenError {
    let before = std::fs::read(path).unwrap();
    let refused = open(path).unwrap_err();
    assert!(std::fs::read(path).unwrap() == before, "the file was changed: {refused}");
    assert!(refused.to_string().starts_with(path.to_str().unwrap()), "{refused}");
    refused
}
