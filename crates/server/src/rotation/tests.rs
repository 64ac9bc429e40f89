//! Rotation over a real store, with the verifiers played by the test.

use std::path::Path;
use std::time::{Duration, Instant};

use propusk_core::feed::Follower;
use propusk_core::id::{Kid, Subject};
use propusk_core::keys::{Kek, RevokeError, Schedule};
use propusk_core::mint::{self, MintRequest};
use propusk_core::services::{self, ServiceChange};
use propusk_core::settings::{Argon2Settings, Settings};
use propusk_core::store::{KeyState, SigningAlg};
use propusk_core::version::Expected;
use propusk_core::{log, sessions};
use propusk_store::Synchronous;
use propusk_verify::check::{CheckItem, CheckVerdict};
use propusk_verify::feed::Instance;

use super::*;
use crate::ServerConfig;
use crate::bootstrap::ensure_service;

const KEK: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const A: Instance = Instance([1; 16]);
const B: Instance = Instance([2; 16]);
/// Nothing but acknowledgements holds a key back, once its set is served for a second.
const AT_ONCE: Schedule = Schedule { settle: Duration::ZERO, max_age: Duration::ZERO, rotate_every: Duration::ZERO };

async fn start(data: &Path, key_schedule: Schedule) -> Arc<App> {
    let mut settings = Settings::new("https://id.example");
    settings.argon2 = Argon2Settings { m_kib: 8, t: 1, p: 1 };
    let config = ServerConfig {
        settings,
        database: data.join("authority.db"),
        synchronous: Synchronous::Off,
        kek: Kek::from_text(KEK).unwrap(),
        hash_queue: 1,
        throttle: Some(Duration::from_secs(60)),
        trusted_proxies: Vec::new(),
        key_schedule,
        publish_all_keys: false,
        lease: Duration::from_secs(3),
        revoke_wait_limit: Duration::from_secs(5),
        debug_decision_headers: false,
        ops_anywhere: false,
        bootstrap_admin_secret: None,
    };
    let (app, _) = crate::open(config).await.unwrap();
    ensure_service(&app, "cars", SigningAlg::Ed25519).await.unwrap();
    app.reload_rings().await.unwrap();
    app
}

fn cars() -> ServiceId {
    "cars".parse().unwrap()
}

fn connect(app: &App, instance: Instance, applied: u64) {
    let who = Follower { service: "cars".into(), address: "::1".into(), version: "1".into() };
    app.feed.connected(instance, who, applied).unwrap();
}

async fn ring(app: &App, service: &ServiceId) -> Ring {
    let service = service.clone();
    app.read(move |tx, _| Ring::read(tx, &service)).await.unwrap()
}

async fn active(app: &App) -> Kid {
    ring(app, &cars()).await.active().unwrap().kid.clone()
}

async fn state(app: &App, kid: &Kid) -> Option<KeyState> {
    ring(app, &cars()).await.keys().iter().find(|key| key.kid == *kid).map(|key| key.state)
}

/// Lets housekeeping look again and again until `holds`.
async fn until<F: Future<Output = bool>>(app: &Arc<App>, what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    loop {
        step(app).await;
        if holds().await {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks for longer than time alone would hold a key back.
async fn still<F: Future<Output = bool>>(app: &Arc<App>, what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        step(app).await;
        assert!(holds().await, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token as it is minted now.
async fn token(app: &Arc<App>) -> String {
    let unsigned = app.read(|tx, env| {
        let request = MintRequest {
            subject: Subject::Client(sessions::auth_api()),
            client: sessions::auth_api(),
            audience: tx.service(&cars())?.unwrap(),
            sid: None,
            act: None,
            not_after: None,
        };
        mint::prepare(tx, env, &Settings::new("https://id.example"), &request).map_err(StoreError::failed)
    });
    app.sign(unsigned.await.unwrap()).await.unwrap().to_string()
}

async fn verdict(app: &App, token: &str) -> CheckVerdict {
    let item = CheckItem::of(&app.verify_any(token).unwrap());
    app.read(move |tx, _| log::judge(tx, &item)).await.unwrap()
}

fn is_good(verdict: &CheckVerdict) -> bool {
    matches!(verdict, CheckVerdict::Good { .. })
}

#[tokio::test]
async fn the_next_key_signs_once_every_verifier_has_acknowledged_it() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), AT_ONCE).await;
    let old = active(&app).await;
    let head = app.feed.head();
    connect(&app, A, head);
    connect(&app, B, 0);
    let before = token(&app).await;
    let promoted = rotate(&app, Actor::system(), cars()).await.unwrap();
    assert_eq!(promoted.state, KeyState::Staged);
    assert!(promoted.seq <= head && promoted.seq > 0);
    assert_eq!(rotate(&app, Actor::system(), cars()).await.unwrap(), promoted, "it goes on");

    still(&app, "B has not acknowledged", || async { active(&app).await == old }).await;
    let ring_now = ring(&app, &cars()).await;
    let waiting_for = app.obstacles(ring_now.promoted().unwrap(), env().now).waiting_for;
    assert_eq!(waiting_for.iter().map(|it| (it.instance, it.acked)).collect::<Vec<_>>(), [(B, 0)]);

    app.feed.acked(B, promoted.seq);
    until(&app, "it takes over", || async { active(&app).await == promoted.kid }).await;
    assert_eq!(state(&app, &old).await, Some(KeyState::Retiring));
    assert!(is_good(&verdict(&app, &before).await), "what the old one signed stays good");
    let after = token(&app).await;
    assert_eq!(app.verify_any(&after).unwrap().kid(), promoted.kid.as_str());
    // Next one staged, and told to verifiers.
    until(&app, "another is staged", || async { ring(&app, &cars()).await.staged().is_some() }).await;
    let next = ring(&app, &cars()).await.staged().unwrap().clone();
    assert_eq!(next.published_seq, Some(app.feed.head()));
    let published = app.rings.load();
    let published = &published[&cars()];
    assert_eq!(published.active.as_deref(), Some(promoted.kid.as_str()));
    for kid in [&old, &promoted.kid, &next.kid] {
        assert!(published.pems.contains_key(kid.as_str()) && published.jwks.contains(kid.as_str()));
    }
}

#[tokio::test]
async fn a_rotation_survives_a_restart_and_waits_until_that_has_settled() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), AT_ONCE).await;
    let old = active(&app).await;
    let promoted = rotate(&app, Actor::system(), cars()).await.unwrap();
    app.store.close().await;
    drop(app);
    let settling = Schedule { settle: Duration::from_secs(3600), ..AT_ONCE };
    let app = start(data.path(), settling).await;
    still(&app, "not within keys.settle", || async { active(&app).await == old }).await;
    app.store.close().await;
    drop(app);
    let app = start(data.path(), Schedule { settle: Duration::from_secs(2), ..AT_ONCE }).await;
    let begun = Instant::now();
    until(&app, "it takes over", || async { active(&app).await == promoted.kid }).await;
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

/// Takes a key back, as the admin API does.
async fn revoke(app: &Arc<App>, actor: Actor, kid: Kid) -> Result<u64, RevokeError> {
    let known = kid.clone();
    let spare = match app.read(move |tx, _| tx.key(&known)).await? {
        Some(key) => spare_for(app, key.service).await?,
        None => None,
    };
    app.change_keys(move |tx, env| keys::revoke(tx, env, &actor, &kid, spare.as_ref())).await
}

#[tokio::test]
async fn a_revoked_key_is_replaced_in_the_same_transaction() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), Schedule { settle: Duration::from_secs(3600), ..AT_ONCE }).await;
    let old = active(&app).await;
    let spare = ring(&app, &cars()).await.staged().unwrap().kid.clone();
    let token_before = token(&app).await;
    let seq = revoke(&app, Actor::system(), old.clone()).await.unwrap();
    assert_eq!((active(&app).await, state(&app, &old).await), (spare.clone(), Some(KeyState::Revoked)));
    assert_eq!(seq, app.feed.head());
    assert_eq!(verdict(&app, &token_before).await, CheckVerdict::Stale);
    let token_after = token(&app).await;
    assert_eq!(app.verify_any(&token_after).unwrap().kid(), spare.as_str());
    assert!(is_good(&verdict(&app, &token_after).await));
    // Who fetches keys hears of no revocation; who follows does, and can tell a stale token from a forged one.
    let published = app.rings.load_full();
    assert!(!published[&cars()].jwks.contains(old.as_str()) && !published[&cars()].pems.contains_key(old.as_str()));
    let followed = app.read(|tx, _| keys::jwks_for_verifiers(tx, &cars())).await.unwrap();
    assert!(String::from_utf8(followed).unwrap().contains(old.as_str()));
    // Again, before another was staged; and once more, which changes nothing.
    revoke(&app, Actor::system(), spare.clone()).await.unwrap();
    let third = active(&app).await;
    assert!(third != old && third != spare);
    assert_eq!(verdict(&app, &token_after).await, CheckVerdict::Stale);
    let head = app.feed.head();
    assert_eq!(revoke(&app, Actor::system(), spare).await.unwrap(), head);
    assert_eq!(active(&app).await, third);
    until(&app, "a spare", || async { ring(&app, &cars()).await.staged().is_some() }).await;
    let unknown = revoke(&app, Actor::system(), "nobody".parse().unwrap()).await;
    assert!(matches!(unknown, Err(RevokeError::UnknownKey)));
}

#[tokio::test]
async fn a_rotation_ends_with_the_key_that_it_was_for() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), AT_ONCE).await;
    let old = active(&app).await;
    let promoted = rotate(&app, Actor::system(), cars()).await.unwrap();
    revoke(&app, Actor::system(), promoted.kid.clone()).await.unwrap();
    // A spare comes at once when it is asked for, and is the one to sign next.
    let next = rotate(&app, Actor::system(), cars()).await.unwrap();
    assert_ne!(next.kid, promoted.kid);
    assert_eq!(next.seq, app.feed.head());
    until(&app, "it takes over", || async { active(&app).await == next.kid }).await;
    assert_eq!(state(&app, &old).await, Some(KeyState::Retiring));
    let unknown = rotate(&app, Actor::system(), "nobody".parse().unwrap()).await;
    assert!(matches!(unknown, Err(RotateError::UnknownService)));
}

#[tokio::test]
async fn keys_that_no_token_needs_leave_the_ring() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), AT_ONCE).await;
    let first = active(&app).await;
    revoke(&app, Actor::system(), first.clone()).await.unwrap();
    let second = active(&app).await;
    let third = rotate(&app, Actor::system(), cars()).await.unwrap().kid;
    until(&app, "it takes over", || async { active(&app).await == third }).await;
    until(&app, "a spare", || async { ring(&app, &cars()).await.staged().is_some() }).await;
    let until_of = |kid: &Kid| {
        let kid = kid.clone();
        app.read(move |tx, _| Ok::<_, StoreError>(tx.key(&kid)?.and_then(|key| key.gone_at_floor())))
    };
    let (first_goes, second_goes) =
        (until_of(&first).await.unwrap().unwrap(), until_of(&second).await.unwrap().unwrap());
    assert!(first_goes < second_goes);
    let forget = |floor| app.write(move |tx, env| keys::forget_passed(tx, env, floor));
    let head = app.feed.head();
    assert!(!forget(first_goes - 1).await.unwrap());
    assert_eq!(app.feed.head(), head);
    assert!(forget(first_goes).await.unwrap());
    assert_eq!((state(&app, &first).await, state(&app, &second).await), (None, Some(KeyState::Retiring)));
    assert_eq!(app.feed.head(), head + 1, "verifiers are told");
    assert!(forget(second_goes).await.unwrap());
    assert!(!forget(u64::MAX).await.unwrap(), "what signs or will sign stays");
    assert_eq!(ring(&app, &cars()).await.keys().len(), 2);
}

#[tokio::test]
async fn a_schedule_rotates_by_itself() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), Schedule { rotate_every: Duration::from_secs(1), ..AT_ONCE }).await;
    let first = active(&app).await;
    for _ in 0..2 {
        let before = active(&app).await;
        until(&app, "it takes over", || async { active(&app).await != before }).await;
    }
    assert_eq!(state(&app, &first).await, Some(KeyState::Retiring));
    assert!(ring(&app, &cars()).await.keys().len() >= 3);
}

#[tokio::test]
async fn a_service_is_rotated_by_its_own_schedule() {
    let data = tempfile::tempdir().unwrap();
    let app = start(data.path(), AT_ONCE).await;
    ensure_service(&app, "posts", SigningAlg::Ed25519).await.unwrap();
    app.reload_rings().await.unwrap();
    let posts: ServiceId = "posts".parse().unwrap();
    let others = async || ring(&app, &posts).await.active().unwrap().kid.clone();
    let (first, theirs) = (active(&app).await, others().await);
    still(&app, "no schedule at all", || async { active(&app).await == first }).await;
    let every = ServiceChange { rotate_every_s: Some(Some(1)), ..ServiceChange::default() };
    let changed = app.write(move |tx, env| {
        services::change(tx, env, &Actor::system(), &cars(), every, &Expected::Anything).map_err(StoreError::failed)
    });
    assert_eq!(changed.await.unwrap().0.rotate_every_s, Some(1));
    until(&app, "it takes over", || async { active(&app).await != first }).await;
    assert_eq!(others().await, theirs, "only that of the service that asked for it");
}
