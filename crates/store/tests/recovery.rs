//! Going on after commits were lost: nothing that was handed out before is honoured.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::time::Duration;

use propusk_core::audit::Actor;
use propusk_core::env::{Env, SystemClock, SystemRandom, Timestamp};
use propusk_core::id::ServiceId;
use propusk_core::keys::{self, FreshKey, Kek, Ring};
use propusk_core::recovery::{self, FreshRing, LEAP, Lost, Recovered};
use propusk_core::store::{AuditFilter, KeyState, SealedKey, Service, SigningAlg, StoreError};
use propusk_core::{log, services};
use propusk_store::{SqliteStore, Synchronous};
use propusk_verify::check::{CheckItem, CheckVerdict};
use tempfile::TempDir;

const LEEWAY: Duration = Duration::from_secs(5);

struct World {
    store: SqliteStore,
    kek: &'static Kek,
    _dir: TempDir,
}

/// Two services with their keys; one of `cars` was revoked long ago, and its spare signs.
async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off).unwrap();
    let kek: &'static Kek = Box::leak(Box::new(kek()));
    let world = World { store, kek, _dir: dir };
    for id in ["cars", "posts"] {
        let service = service(id);
        let [active, spare] = [0; 2].map(|_| FreshKey::generate(kek, &service, env()).unwrap());
        let made = world.store.write(move |tx| {
            log::raise_limits(tx, env().now, LEEWAY)?;
            services::create(tx, env(), &Actor::system(), &service, active, spare).map_err(StoreError::failed)
        });
        made.await.unwrap();
    }
    let first = world.ring("cars").await.active().unwrap().kid.clone();
    let revoked = world
        .store
        .write(move |tx| keys::revoke(tx, env(), &Actor::system(), &first, None).map_err(StoreError::failed));
    revoked.await.unwrap();
    world
}

impl World {
    async fn ring(&self, service: &str) -> Ring {
        let id: ServiceId = service.parse().unwrap();
        self.store.read(move |tx| Ring::read(tx, &id)).await.unwrap()
    }

    async fn fresh_rings(&self) -> Vec<FreshRing> {
        let services = self.store.read(|tx| recovery::services(tx)).await.unwrap();
        services.iter().map(|service| FreshRing::generate(self.kek, service, env()).unwrap()).collect()
    }

    async fn go_on(&self, lost: Lost) -> Recovered {
        let rings = self.fresh_rings().await;
        self.store.write(move |tx| recovery::go_on(tx, env(), "restored", lost, LEEWAY, rings)).await.unwrap()
    }

    async fn head(&self) -> u64 {
        self.store.read(|tx| tx.log_state()).await.unwrap().head
    }

    async fn judge(&self, kid: &str, epoch: u64) -> CheckVerdict {
        let item = CheckItem {
            aud: "cars".to_owned(),
            jti: "t_1".to_owned(),
            sid: None,
            sub: "web".to_owned(),
            client_id: "web".to_owned(),
            actors: Vec::new(),
            epoch,
            kid: kid.to_owned(),
        };
        self.store.read(move |tx| log::judge(tx, &item)).await.unwrap()
    }
}

#[tokio::test]
async fn every_key_is_taken_back_and_every_ring_has_two_new_ones() {
    let world = world().await;
    let before = [world.ring("cars").await, world.ring("posts").await];
    let recovered = world.go_on(Lost::default()).await;
    // Of `cars` one is revoked already and one signs; `posts` has both.
    assert_eq!(recovered.keys_revoked, 3);
    let ceiling = world.store.read(|tx| tx.log_state()).await.unwrap().exp_ceiling;
    for before in before {
        let after = world.ring(before.service().as_str()).await;
        let state = |key: &SealedKey| after.keys().iter().find(|it| it.kid == key.kid).map(|it| it.state);
        assert!(before.keys().iter().all(|key| state(key) == Some(KeyState::Revoked)), "{after:?}");
        let new: Vec<_> = after.keys().iter().filter(|key| state(key) != Some(KeyState::Revoked)).collect();
        assert_eq!(new.len(), 2, "{after:?}");
        assert!(after.active().is_some_and(|key| key.published_seq.is_some()) && after.staged().is_some());
        let remembered = |key: &&SealedKey| key.until.is_some_and(|until| until <= ceiling);
        assert!(after.keys().iter().filter(|key| key.state == KeyState::Revoked).all(|key| remembered(&key)));
    }
}

/// Whoever has a key whose revocation was lost writes whatever `epoch` he likes.
#[tokio::test]
async fn a_leaked_key_forges_nothing_however_far_in_the_future() {
    let world = world().await;
    with_client(&world).await;
    let leaked = world.ring("cars").await.active().unwrap().kid.to_string();
    let head = world.head().await;
    assert!(matches!(world.judge(&leaked, head).await, CheckVerdict::Good { .. }));
    let recovered = world.go_on(Lost::default()).await;
    for epoch in [0, head, recovered.head, recovered.head + LEAP, u64::MAX] {
        assert_eq!(world.judge(&leaked, epoch).await, CheckVerdict::Stale, "{epoch}");
    }
    let new = world.ring("cars").await.active().unwrap().kid.to_string();
    assert!(matches!(world.judge(&new, recovered.head).await, CheckVerdict::Good { .. }));
    assert_eq!(world.judge(&new, recovered.head - 1).await, CheckVerdict::Stale);
}

#[tokio::test]
async fn the_head_leaps_beyond_all_that_may_have_been_given_out() {
    let world = world().await;
    let before = world.head().await;
    let first = world.go_on(Lost::default()).await;
    assert!(first.head > before + LEAP && first.head < before + LEAP + 100, "{first:?}");
    assert_eq!(world.head().await, first.head);
    // The same backup once more, in the place of what went on from it before.
    let lost = Lost { head: first.head + 500, longest_lease_ms: 9_000 };
    let second = world.go_on(lost).await;
    assert!(second.head > lost.head + LEAP, "{second:?}");
    let kinds: Vec<_> = world.store.read(move |tx| tx.events_after(lost.head, 100)).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|row| (row.kind.as_str(), row.key.as_str())).collect();
    assert_eq!(kinds.last(), Some(&("all_changed", "*")));
    for service in ["cars", "posts"] {
        assert!(kinds.contains(&("keys_changed", service)), "{kinds:?}");
    }
    assert_eq!(kinds.iter().filter(|(kind, _)| *kind == "key_revoked").count(), 4, "the four of the first time");
    assert_eq!(world.store.read(|tx| tx.longest_lease_ms()).await.unwrap(), 9_000);
    let filter = AuditFilter { action: Some("restored".to_owned()), ..AuditFilter::default() };
    assert_eq!(world.store.read(move |tx| tx.audit_entries(&filter, None, 9)).await.unwrap().len(), 2);
}

/// What the lost part granted a longer life than the backup knows of is remembered for as long as it can live.
#[tokio::test]
async fn what_is_appended_is_remembered_as_long_as_tokens_of_now_live() {
    let world = world().await;
    let recovered = world.go_on(Lost::default()).await;
    let rows = world.store.read(move |tx| tx.events_after(recovered.head - 1, 9)).await.unwrap();
    let (ceiling, _) = log::limits(env().now, LEEWAY);
    assert!(rows[0].until + 60 >= ceiling, "{rows:?}");
}

#[tokio::test]
async fn a_ring_that_is_left_out_is_an_error_and_nothing_is_changed() {
    let world = world().await;
    let before = world.head().await;
    let mut rings = world.fresh_rings().await;
    rings.pop();
    let go_on = world.store.write(move |tx| recovery::go_on(tx, env(), "restored", Lost::default(), LEEWAY, rings));
    let error = go_on.await.unwrap_err().to_string();
    assert!(error.contains("no new keys for posts"), "{error}");
    assert_eq!(world.head().await, before);
    assert!(world.ring("cars").await.active().is_some());
}

async fn with_client(world: &World) {
    let client = propusk_core::store::Client::named("web".parse().unwrap(), "web".to_owned(), Timestamp(0));
    assert!(world.store.write(move |tx| tx.insert_client(&client)).await.unwrap());
}

fn kek() -> Kek {
    Kek::from_text(&Kek::generate_text(&SystemRandom)).unwrap()
}

fn env() -> Env<'static> {
    Env::new(&SystemClock, &SystemRandom)
}

fn service(id: &str) -> Service {
    Service {
        id: id.parse().unwrap(),
        alg: SigningAlg::Ed25519,
        resource_uri: None,
        access_ttl_s: None,
        rotate_every_s: None,
        created_at: Timestamp(0),
        version: 1,
    }
}
