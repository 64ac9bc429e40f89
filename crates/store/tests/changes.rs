//! What the authority's operations on roles and groups tell the log, on a real store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use propusk_core::audit::Actor;
use propusk_core::env::{Env, SystemClock, SystemRandom, Timestamp};
use propusk_core::groups::{self, GroupError};
use propusk_core::id::{GroupId, Subject, UserId};
use propusk_core::roles::{self, AssignError, Definition};
use propusk_core::store::{Group, Holder, LogRow, RoleGrant, Service, SigningAlg, StoreError, Tx, User};
use propusk_core::version::Expected;
use propusk_store::{SqliteStore, Synchronous};
use tempfile::TempDir;

struct World {
    store: SqliteStore,
    _dir: TempDir,
}

/// More than an event may name.
const MANY: usize = 10_001;

/// The services `cars` and `posts` with the role `buyer` each, and the group `drivers` with this many members.
async fn world(members: usize) -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off).unwrap();
    let fill = store.write(move |tx| {
        for id in ["cars", "posts"] {
            tx.insert_service(&service(id))?;
            let definition = Definition { permissions: vec!["cars:buy".parse().unwrap()], inherits: vec![] };
            roles::put(tx, env(), &Actor::system(), &role(id), definition, &Expected::Anything).unwrap();
        }
        tx.insert_group(&Group { id: drivers(), created_at: Timestamp(0) })?;
        for n in 0..members {
            tx.insert_user(&user(n))?;
            tx.add_member(&drivers(), &user(n).id)?;
        }
        Ok::<_, StoreError>(())
    });
    fill.await.unwrap();
    World { store, _dir: dir }
}

impl World {
    /// Runs an operation; the events that it appended, and that it answered the last of them.
    async fn events<E: From<StoreError> + std::fmt::Debug + Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Tx) -> Result<u64, E> + Send + 'static,
    ) -> Vec<String> {
        let before = self.store.read(|tx| tx.log_state()).await.unwrap().head;
        let seq = self.store.write(operation).await.unwrap();
        let rows: Vec<LogRow> = self.store.read(move |tx| tx.events_after(before, 50_000)).await.unwrap();
        assert_eq!(seq, rows.last().map_or(before, |row| row.seq));
        rows.into_iter().map(|row| format!("{} {}", row.kind, row.key)).collect()
    }
}

fn env() -> Env<'static> {
    Env::new(&SystemClock, &SystemRandom)
}

fn drivers() -> GroupId {
    "drivers".parse().unwrap()
}

fn role(service: &str) -> RoleGrant {
    RoleGrant { service: service.parse().unwrap(), role: "buyer".parse().unwrap() }
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

fn user(n: usize) -> User {
    User {
        id: format!("u_{n}").parse().unwrap(),
        username: format!("user{n}"),
        email: None,
        password_hash: None,
        disabled: false,
        ended_seq: 0,
        created_at: Timestamp(0),
        version: 1,
    }
}

fn give(tx: &mut dyn Tx, holder: Holder, service: &str) -> Result<u64, AssignError> {
    roles::give(tx, env(), &Actor::system(), &holder, &role(service))
}

#[tokio::test]
async fn every_member_of_a_group_is_told_of_its_roles() {
    let world = world(3).await;
    let all = ["subject_changed u_0", "subject_changed u_1", "subject_changed u_2"];
    let group = || Holder::Group(drivers());
    assert_eq!(world.events(move |tx| give(tx, group(), "cars")).await, all);
    assert_eq!(world.events(move |tx| give(tx, group(), "cars")).await, [""; 0], "it had it");
    let take = move |tx: &mut dyn Tx| roles::take(tx, env(), &Actor::system(), &group(), &role("cars"));
    assert_eq!(world.events(take).await, all);
    world.events(move |tx| give(tx, group(), "posts")).await;
    let one: UserId = "u_1".parse().unwrap();
    let remove = move |tx: &mut dyn Tx| groups::remove_member(tx, env(), &Actor::system(), &drivers(), &one);
    assert_eq!(world.events::<GroupError>(remove).await, ["subject_changed u_1"]);
    let delete = |tx: &mut dyn Tx| groups::delete(tx, env(), &Actor::system(), &drivers());
    assert_eq!(world.events::<GroupError>(delete).await, ["subject_changed u_0", "subject_changed u_2"]);
}

#[tokio::test]
async fn whoever_has_a_deleted_role_is_told_once() {
    let world = world(2).await;
    world.events(|tx| give(tx, Holder::Group(drivers()), "cars")).await;
    world.events(|tx| give(tx, Holder::User("u_1".parse().unwrap()), "cars")).await;
    let delete = |tx: &mut dyn Tx| roles::delete(tx, env(), &Actor::system(), &role("cars"), &Expected::Existing);
    let told = world.events(delete).await;
    assert_eq!(told, ["policy_changed cars", "subject_changed u_0", "subject_changed u_1"]);
}

#[tokio::test]
async fn a_change_to_very_many_is_one_event_for_each_service() {
    let world = world(MANY).await;
    let group = || Holder::Group(drivers());
    assert_eq!(world.events(move |tx| give(tx, group(), "cars")).await, ["all_changed cars"]);
    assert_eq!(world.events(move |tx| give(tx, group(), "posts")).await, ["all_changed posts"]);
    let take = move |tx: &mut dyn Tx| roles::take(tx, env(), &Actor::system(), &group(), &role("cars"));
    assert_eq!(world.events(take).await, ["all_changed cars"]);
    world.events(move |tx| give(tx, group(), "cars")).await;
    let delete = |tx: &mut dyn Tx| roles::delete(tx, env(), &Actor::system(), &role("cars"), &Expected::Existing);
    assert_eq!(world.events(delete).await, ["policy_changed cars", "all_changed cars"]);
    let delete = |tx: &mut dyn Tx| groups::delete(tx, env(), &Actor::system(), &drivers());
    assert_eq!(world.events::<GroupError>(delete).await, ["all_changed posts"]);
}

#[tokio::test]
async fn ten_thousand_are_still_named() {
    let world = world(MANY - 1).await;
    let told = world.events(|tx| give(tx, Holder::Group(drivers()), "cars")).await;
    assert_eq!(told.len(), MANY - 1);
    assert!(told.iter().all(|event| event.starts_with("subject_changed u_")));
}

#[tokio::test]
async fn what_a_role_permits_is_told_with_what_it_inherits() {
    let world = world(0).await;
    let put = |name: &'static str, permissions: &'static [&str], inherits: &'static [&str]| {
        move |tx: &mut dyn Tx| {
            let role = RoleGrant { service: "cars".parse().unwrap(), role: name.parse().unwrap() };
            let definition = Definition {
                permissions: permissions.iter().map(|text| text.parse().unwrap()).collect(),
                inherits: inherits.iter().map(|text| text.parse().unwrap()).collect(),
            };
            roles::put(tx, env(), &Actor::system(), &role, definition, &Expected::Anything)
        }
    };
    assert_eq!(world.events(put("chief", &["cars:paint"], &["buyer"])).await, ["policy_changed cars"]);
    assert_eq!(world.events(put("chief", &["cars:paint"], &["buyer"])).await, [""; 0]);
    let table = || async {
        let table = world.store.read(|tx| roles::policy_table(tx, &"cars".parse().unwrap())).await.unwrap();
        let line = |(role, permissions): (_, Vec<propusk_core::id::Permission>)| {
            format!("{role}: {}", permissions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        table.into_iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(table().await, ["buyer: cars:buy", "chief: cars:buy cars:paint"]);
    world.events(put("buyer", &["cars:look"], &[])).await;
    assert_eq!(table().await, ["buyer: cars:look", "chief: cars:look cars:paint"]);
    // And so does the check by current roles.
    world
        .store
        .write(|tx| {
            tx.insert_user(&user(1))?;
            roles::give(
                tx,
                env(),
                &Actor::system(),
                &Holder::User("u_1".parse().unwrap()),
                &RoleGrant { service: "cars".parse().unwrap(), role: "chief".parse().unwrap() },
            )
            .unwrap();
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let effective =
        world.store.read(|tx| roles::effective(tx, &Subject::User("u_1".parse().unwrap()), &"cars".parse().unwrap()));
    let effective = effective.await.unwrap();
    assert_eq!(effective.roles, ["chief".parse().unwrap()]);
    assert_eq!(effective.permissions, ["cars:look", "cars:paint"].map(|text| text.parse().unwrap()));
}
