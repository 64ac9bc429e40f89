//! Each kind of fault is made, and found with what mends it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use propusk_core::audit::Actor;
use propusk_core::env::{Env, SystemClock, SystemRandom};
use propusk_core::keys::{FreshKey, Kek};
use propusk_core::store::{Service, SigningAlg, StoreError};
use propusk_core::{log, services};
use propusk_store::{SqliteStore, Synchronous};
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Sources};
use crate::data::DataDir;

/// A data directory as an `up` that was ended leaves it, with one service.
async fn made() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let kek = Kek::from_text(&std::fs::read_to_string(data.kek_file().unwrap()).unwrap()).unwrap();
    data.cookie_key_file().unwrap();
    data.client_secrets().unwrap();
    let store = SqliteStore::open(&data.file("authority.db"), Synchronous::Off).unwrap();
    let service = service();
    let env = || Env::new(&SystemClock, &SystemRandom);
    let [active, spare] = [0; 2].map(|_| FreshKey::generate(&kek, &service, env()).unwrap());
    let filled = store.write(move |tx| {
        log::raise_limits(tx, env().now, std::time::Duration::from_secs(5))?;
        services::create(tx, env(), &Actor::system(), &service, active, spare).map_err(StoreError::failed)
    });
    filled.await.unwrap();
    store.close().await;
    folder
}

fn service() -> Service {
    Service {
        id: "cars".parse().unwrap(),
        alg: SigningAlg::Ed25519,
        resource_uri: None,
        access_ttl_s: None,
        rotate_every_s: None,
        created_at: propusk_core::env::Timestamp(0),
        version: 1,
    }
}

fn examined(folder: &Path, sets: &[&str]) -> Vec<Finding> {
    let sources = Sources { sets: sets.iter().map(|&set| set.to_owned()).collect(), ..Sources::default() };
    let mut findings = Findings::default();
    let config = Config::load(&sources).unwrap();
    let patient = Patient::with(config, Some(folder.to_owned()), &mut findings);
    config::check(&patient, &mut findings);
    files::check(&patient, &mut findings);
    tls::check(&patient, &mut findings);
    if let Some(examination) = database::check(&patient, &mut findings) {
        keys::check(&patient, &examination, &mut findings);
    }
    findings.all
}

/// The one finding of its level that says this; it says what mends it.
#[track_caller]
fn expect(findings: &[Finding], level: Level, part: &str, remedy: &str) {
    let found: Vec<_> = findings.iter().filter(|finding| finding.what.contains(part)).collect();
    let [found] = found.as_slice() else { panic!("{part}: {findings:#?}") };
    assert_eq!(found.level, level, "{found:?}");
    let told = format!("{} {}", found.what, found.remedy.clone().unwrap_or_default());
    assert!(told.contains(remedy), "{remedy}: {found:?}");
}

/// Changes the database behind everybody's back.
fn change(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("authority.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn nothing_is_wrong_with_what_was_just_made_and_nothing_is_changed() {
    let folder = made().await;
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let findings = examined(folder.path(), &[]);
    let not_fine: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Wrong).collect();
    assert!(not_fine.is_empty(), "{not_fine:#?}");
    for part in ["schema version", "every page", "nobody has it open", "cars: 2 keys", "key-encryption key in"] {
        expect(&findings, Level::Fine, part, "");
    }
    assert_eq!(names(), before);
}

#[tokio::test]
async fn settings_that_may_not_be_meant_are_told() {
    let folder = made().await;
    let sets = ["database.synchronous=off", "insecure_http=true", "keys.publish_all=true"];
    let findings = examined(folder.path(), &sets);
    expect(&findings, Level::Warning, "the whole database may be lost", "database.synchronous=full");
    expect(&findings, Level::Warning, "in the clear", "tls.cert");
    expect(&findings, Level::Warning, "published together", "keys.publish_all=false");
}

#[tokio::test]
async fn files_that_others_can_read_are_told_with_the_command_that_mends_it() {
    let folder = made().await;
    let (kek, database, secret) =
        (folder.path().join("kek"), folder.path().join("authority.db"), folder.path().join("clients/cars.secret"));
    for path in [&kek, &database, &secret] {
        std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let findings = examined(folder.path(), &[]);
    for path in [&kek, &database, &secret] {
        let start = format!("{} can be read by others", path.display());
        expect(&findings, Level::Wrong, &start, &format!("chmod 600 {}", path.display()));
    }
    let folder = folder.path().display().to_string();
    expect(&findings, Level::Wrong, "others can change what is in", &format!("chmod 700 {folder}"));
}

#[tokio::test]
async fn a_key_encryption_key_that_is_missing_torn_or_another_is_told() {
    let folder = made().await;
    let kek = folder.path().join("kek");
    let right = std::fs::read_to_string(&kek).unwrap();
    std::fs::remove_file(&kek).unwrap();
    expect(&examined(folder.path(), &[]), Level::Wrong, "key-encryption key", "propusk feed restore");
    private_file(&kek, "too short");
    expect(&examined(folder.path(), &[]), Level::Wrong, "43 characters", "put back the key");
    private_file(&kek, &Kek::generate_text(&SystemRandom));
    expect(&examined(folder.path(), &[]), Level::Wrong, "cars: the key-encryption key does not open", "kek.file");
    private_file(&kek, &right);
    assert!(examined(folder.path(), &[]).iter().all(|finding| finding.level != Level::Wrong));
}

#[tokio::test]
async fn a_damaged_foreign_newer_or_older_database_is_told() {
    let folder = made().await;
    let path = folder.path().join("authority.db");
    let good = std::fs::read(&path).unwrap();
    let newer =
        "INSERT INTO refinery_schema_history SELECT 1000, 'x', applied_on, '1' FROM refinery_schema_history LIMIT 1";
    change(folder.path(), newer);
    expect(&examined(folder.path(), &[]), Level::Wrong, "schema version 1000", "start the newer program");
    std::fs::write(&path, &good).unwrap();
    change(folder.path(), "DELETE FROM refinery_schema_history WHERE version > 1");
    expect(&examined(folder.path(), &[]), Level::Warning, "schema version 1;", "keep a backup");
    std::fs::write(&path, &good).unwrap();
    change(folder.path(), "PRAGMA application_id = 7");
    expect(&examined(folder.path(), &[]), Level::Wrong, "some other program", "move it away");
    std::fs::write(&path, &good).unwrap();
    change(folder.path(), "PRAGMA foreign_keys = OFF; INSERT INTO user_roles VALUES ('u_none', 'none', 'none')");
    expect(&examined(folder.path(), &[]), Level::Wrong, "damaged: rows of user_roles", "propusk restore FILE --data");
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    let findings = examined(folder.path(), &[]);
    assert!(
        findings.iter().any(|finding| finding.area == "database" && finding.level == Level::Wrong),
        "{findings:#?}"
    );
    std::fs::write(&path, "no database").unwrap();
    expect(&examined(folder.path(), &[]), Level::Wrong, "not an SQLite database", "propusk restore FILE --data");
}

#[tokio::test]
async fn a_ring_without_a_key_that_signs_or_without_a_spare_is_told() {
    let folder = made().await;
    change(folder.path(), "UPDATE keys SET state = 'revoked' WHERE state = 'active'");
    expect(&examined(folder.path(), &[]), Level::Wrong, "cars: no key signs", "propusk keys revoke");
    change(folder.path(), "UPDATE keys SET state = 'retiring' WHERE state = 'staged'");
    expect(&examined(folder.path(), &[]), Level::Warning, "cars: no spare", "within seconds");
    let folder = made().await;
    change(folder.path(), "UPDATE keys SET promoted_at = 1000 WHERE state = 'staged'");
    expect(&examined(folder.path(), &[]), Level::Warning, "waiting to sign", "propusk keys list cars");
    let folder = made().await;
    change(folder.path(), "UPDATE keys SET activated_at = 1000 WHERE state = 'active'");
    let findings = examined(folder.path(), &["keys.rotate_every=30d"]);
    expect(&findings, Level::Warning, "its key signs for", "propusk keys rotate cars");
}

#[tokio::test]
async fn a_secret_that_the_authority_does_not_know_is_told() {
    let folder = made().await;
    change(
        folder.path(),
        "INSERT INTO clients (id, name, secret, first_party, grant_types, audiences, disabled, created_at)
            VALUES ('cars', 'cars', zeroblob(32), 0, '[]', '[]', 0, 0), ('posts', 'p', zeroblob(32), 0, '[]', '[]', 0, 0)",
    );
    std::fs::remove_file(folder.path().join("clients/posts.secret")).unwrap();
    let findings = examined(folder.path(), &[]);
    expect(&findings, Level::Wrong, "another secret of cars", "propusk client new-secret cars");
    expect(&findings, Level::Wrong, "posts.secret is missing", "propusk client new-secret posts");
}

#[tokio::test]
async fn what_a_killed_restore_and_a_killed_backup_left_is_told() {
    let folder = made().await;
    for name in ["authority.db.restoring", "authority.db.backup", "authority.db.before-20260101T000000Z"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let findings = examined(folder.path(), &[]);
    expect(&findings, Level::Warning, "a restore ended in the middle", "propusk restore FILE --data");
    expect(&findings, Level::Warning, "a backup ended in the middle", "rm ");
    expect(&findings, Level::Warning, "is what a restore replaced", "rm ");
}

#[tokio::test]
async fn certificates_that_do_not_belong_together_or_have_ended_are_told() {
    let folder = made().await;
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let [own, other] = [0; 2].map(|_| rcgen::KeyPair::generate().unwrap());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        private_file(&path, text);
        path.display().to_string()
    };
    let cert = file("tls.crt", &parameters.self_signed(&own).unwrap().pem());
    let [own, other] = [file("own.key", &own.serialize_pem()), file("other.key", &other.serialize_pem())];
    let pair = |key: &str| examined(folder.path(), &[&format!("tls.cert={cert}"), &format!("tls.key={key}")]);
    expect(&pair(&own), Level::Wrong, "ended at 2025-01-01", "renew it");
    expect(&pair(&other), Level::Wrong, "not that of the first certificate", "its own key");
    expect(&pair("/nowhere"), Level::Wrong, "/nowhere", "No such file");
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let findings = examined(&folder.path().join("none"), &[]);
    expect(&findings, Level::Wrong, "there is no data directory", "propusk up --data");
}

#[test]
fn little_room_is_told_before_there_is_none() {
    for (mib, level) in [(10, Level::Wrong), (500, Level::Warning), (50_000, Level::Fine)] {
        let mut findings = Findings::default();
        files::judge_room(mib * 1024 * 1024, Path::new("/data"), &mut findings);
        assert_eq!(findings.all[0].level, level, "{mib}");
    }
}

fn private_file(path: &Path, text: &str) {
    crate::private::replace(path, text).unwrap();
}
