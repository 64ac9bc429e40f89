//! A backup of a running authority.

use base64ct::{Base64, Encoding as _};
use propusk_core::store::AuditFilter;
use propusk_store::{Examination, known_schema};
use reqwest::Method;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn it_is_whole_audited_and_for_administrators_only() {
    let world = World::start().await;
    world.post("/users", json!({ "username": "kept", "password": "long enough for the rules" })).await.expect(201);
    let answer = world.download("/backup").await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/vnd.sqlite3");
    assert_eq!(header("cache-control"), "no-store");
    let (length, digest) = (header("content-length"), header("repr-digest"));
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(length, bytes.len().to_string());

    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    std::fs::write(&copy, &bytes).unwrap();
    let (_, sha256) = propusk_store::digest_of(&mut std::fs::File::open(&copy).unwrap()).unwrap();
    assert_eq!(digest, format!("sha-256=:{}:", Base64::encode_string(&sha256)));
    let examination = Examination::of(&copy).unwrap();
    assert_eq!((examination.schema(), examination.faults().unwrap()), (known_schema(), vec![]));
    let filter = AuditFilter { action: Some("backup".to_owned()), ..AuditFilter::default() };
    let audited = examination.read(|tx| tx.audit_entries(&filter, None, 9)).unwrap();
    assert_eq!(audited.len(), 1, "the backup tells of itself");
    assert_eq!(audited[0].actor, "bootstrap-admin");
    let kept = examination.read(|tx| tx.user_by_username("kept")).unwrap();
    assert!(kept.is_some());

    for who in ["alice", "bob"] {
        let token = world.token(who, "propusk").await;
        let answer = world.call_as(&token, Method::POST, "/admin/v1/backup").await;
        assert_eq!(answer.problem(403), "missing-permission", "{who}");
    }
}

#[tokio::test]
async fn of_several_at_once_some_may_be_told_to_wait_and_the_next_one_is_not() {
    let world = World::start().await;
    let all = futures_util::future::join_all((0..6).map(|_| world.download("/backup"))).await;
    let mut made = 0;
    for answer in all {
        let status = answer.status();
        let is_whole = answer.bytes().await.is_ok();
        assert!(is_whole && (status == 200 || status == 409), "{status}");
        made += usize::from(status == 200);
    }
    assert!(made > 0);
    let answer = world.download("/backup").await;
    assert_eq!(answer.status(), 200);
}
