//! Administrators at the same time.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, texts};

/// The statuses of answers, in order.
fn sorted(statuses: impl IntoIterator<Item = u16>) -> Vec<u16> {
    let mut all: Vec<_> = statuses.into_iter().collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn edits_of_parts_of_one_role_do_not_undo_each_other() {
    let world = World::start().await;
    let bob = world.id("bob");
    world.put(&format!("/users/{bob}/roles/propusk/admin")).await;
    let bob = world.token("bob", "propusk").await;
    let path = |n: usize| format!("/services/cars/roles/buyer/permissions/cars:p{n:02}");
    // Two administrators, none of whom says what was seen: each of them adds something, or takes its own away again.
    let root = join_all((0..10).map(|n| {
        let (world, path) = (&world, path(n));
        async move { world.call(Method::PUT, &path, None).await.status.as_u16() }
    }));
    let other = join_all((10..20).map(|n| {
        let (world, bob, path) = (&world, &bob, format!("/admin/v1{}", path(n)));
        async move { world.call_as(bob, Method::PUT, &path).await.status.as_u16() }
    }));
    let (root, other) = tokio::join!(root, other);
    assert_eq!(sorted(root.into_iter().chain(other)), [200; 20]);
    let buyer = world.get("/services/cars/roles/buyer").await;
    let mut all: Vec<String> = (0..20).map(|n| format!("cars:p{n:02}")).collect();
    all.insert(0, "cars:buy".to_owned());
    assert_eq!(texts(&buyer["permissions"]), all);
    // One takes something away while the other adds: both happen.
    let (taken, added) = (path(0), format!("/admin/v1{}", path(20)));
    let (taken, added) =
        tokio::join!(world.call(Method::DELETE, &taken, None), world.call_as(&bob, Method::PUT, &added));
    assert_eq!((taken.status.as_u16(), added.status.as_u16()), (200, 200));
    let permissions = world.get("/services/cars/roles/buyer").await["permissions"].clone();
    let permissions = texts(&permissions);
    assert!(permissions.contains(&"cars:p20") && !permissions.contains(&"cars:p00"), "{permissions:?}");
}

/// Of those who saw the same, one is first; the others are told, and nothing of theirs is written.
#[tokio::test]
async fn of_many_who_saw_the_same_one_changes_it() {
    let world = World::start().await;
    let bob = world.id("bob");
    world.post("/clients", client("billing")).await.expect(201);
    let paths = [
        ("/services/cars/roles/buyer".to_owned(), Method::PUT, "permissions"),
        (format!("/users/{bob}"), Method::PATCH, "email"),
        ("/clients/billing".to_owned(), Method::PATCH, "client_name"),
        ("/services/cars".to_owned(), Method::PATCH, "access_ttl_s"),
    ];
    for (path, method, member) in paths {
        let seen = world.call(Method::GET, &path, None).await.header("etag");
        let bodies: Vec<Value> = (0..8)
            .map(|n| match member {
                "permissions" => json!({ member: [format!("cars:p{n}")] }),
                "access_ttl_s" => json!({ member: 60 + n }),
                "email" => json!({ member: format!("bob{n}@example.org") }),
                _ => json!({ member: format!("name {n}") }),
            })
            .collect();
        let change = |body: &Value| {
            let (world, path, method, body, seen) = (&world, &path, method.clone(), body.clone(), &seen);
            async move { world.call_with(method, path, Some(body), &[("if-match", seen)]).await.status.as_u16() }
        };
        let statuses = join_all(bodies.iter().map(change)).await;
        assert_eq!(sorted(statuses.clone()), [200, 412, 412, 412, 412, 412, 412, 412], "{path}");
        let winner = statuses.iter().position(|status| *status == 200).unwrap();
        let now = world.call(Method::GET, &path, None).await;
        assert_ne!(now.header("etag"), seen);
        assert_eq!(now.expect(200)[member], bodies[winner][member], "{path}");
    }
}

fn client(id: &str) -> Value {
    json!({
        "client_id": id, "client_name": id, "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic", "audiences": ["cars"],
    })
}

#[tokio::test]
async fn the_same_thing_is_made_once() {
    let world = World::start().await;
    for (path, body, list) in [
        ("/users", json!({ "username": "Erin" }), "/users?username=erin"),
        ("/groups", json!({ "id": "drivers" }), "/groups/drivers"),
        ("/clients", client("billing"), "/clients/billing"),
        ("/services", json!({ "id": "vans", "alg": "Ed25519" }), "/services/vans"),
    ] {
        let make = || async { world.post(path, body.clone()).await.status.as_u16() };
        let statuses = join_all((0..8).map(|_| make())).await;
        assert_eq!(sorted(statuses), [201, 409, 409, 409, 409, 409, 409, 409], "{path}");
        world.get(list).await;
    }
    // Nobody's secret is left behind by those who came second, and nothing was audited twice.
    let made = world.get("/audit?action=client_created&subject=billing").await;
    assert_eq!(made["items"].as_array().unwrap().len(), 1, "{made}");
    assert_eq!(world.get("/services/vans/keys").await["items"].as_array().unwrap().len(), 2);
}

/// The last two take the role from each other, and from themselves, at the same time: one of them stays.
#[tokio::test]
async fn of_the_last_two_administrators_one_stays_whoever_is_first() {
    let world = World::start().await;
    let names = ["admin", "bob"];
    let role = |name: &str| format!("/admin/v1/users/{}/roles/propusk/admin", world.id(name));
    world.put(role("bob").trim_start_matches("/admin/v1")).await;
    world.delete("/clients/bootstrap-admin/roles/propusk/admin").await;
    let mut survivors = BTreeSet::new();
    for round in 0..100_usize {
        let tokens = [world.token("admin", "propusk").await, world.token("bob", "propusk").await];
        // From each other; from themselves; one administrator takes it from both.
        let actors = match round % 3 {
            0 => [1, 0],
            1 => [0, 1],
            _ => [0, 0],
        };
        let take = |victim: usize| {
            let (world, path) = (&world, format!("{}?wait=committed", role(names[victim])));
            let token = &tokens[actors[victim]];
            async move { world.call_as(token, Method::DELETE, &path).await.status.as_u16() }
        };
        let statuses = tokio::join!(take(round % 2), take(1 - round % 2));
        assert!(statuses.0 == 200 || statuses.1 == 200, "round {round}: {statuses:?}");
        assert_ne!(statuses, (200, 200), "round {round}");
        let mut left = Vec::new();
        for (n, name) in names.into_iter().enumerate() {
            let token = world.token(name, "propusk").await;
            if world.call_as(&token, Method::GET, "/admin/v1/groups").await.status == 200 {
                left.push((n, token));
            }
        }
        let [(survivor, token)] = &left[..] else { panic!("round {round}: {} administrators", left.len()) };
        survivors.insert(*survivor);
        let put = format!("{}?wait=committed", role(names[1 - survivor]));
        world.call_as(token, Method::PUT, &put).await.expect(200);
    }
    assert_eq!(survivors.len(), 2, "the race has two ends");
}
