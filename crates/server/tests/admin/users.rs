//! People: made, changed, erased.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

const PASSWORD: &str = "correct horse battery staple";

async fn make(world: &World, body: Value) -> String {
    world.post("/users", body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_is_made_with_or_without_a_password() {
    let world = World::start().await;
    let made = world.post("/users", json!({ "username": "Carol", "email": "carol@Example.org" })).await;
    let etag = made.header("etag");
    let carol = made.expect(201);
    assert_eq!((&carol["username"], &carol["email"]), (&json!("carol"), &json!("carol@example.org")));
    let found = world.get("/users?username=CAROL&limit=1").await;
    assert_eq!(found, json!({ "items": [carol], "next_cursor": null }));
    let shown = world.call(Method::GET, &format!("/users/{}", carol["id"].as_str().unwrap()), None).await;
    assert_eq!(shown.header("etag"), etag);
    assert_eq!(shown.expect(200), carol);
    world.sign_in("carol", PASSWORD, "propusk").await.problem(401);
    let password = format!("/users/{}/password", carol["id"].as_str().unwrap());
    world.call(Method::PUT, &password, Some(json!({ "password": PASSWORD }))).await.expect(200);
    world.sign_in("carol", PASSWORD, "propusk").await.expect(200);
    make(&world, json!({ "username": "dave", "password": PASSWORD })).await;
    world.sign_in("dave", PASSWORD, "propusk").await.expect(200);
    assert_eq!(world.post("/users", json!({ "username": "CAROL" })).await.problem(409), "username-taken");
    // All that is wrong is told at once.
    let answer = world.post("/users", json!({ "username": "", "password": "short", "email": "@" })).await;
    let pointers: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/username", "/password", "/email"]);
    assert_eq!(answer.problem(422), "invalid-field");
}

#[tokio::test]
async fn a_person_is_changed_as_seen() {
    let world = World::start().await;
    let path = format!("/users/{}", world.id("alice"));
    let seen = world.call(Method::GET, &path, None).await.header("etag");
    let patch = async |body: Value, if_match: &str| {
        world.call_with(Method::PATCH, &path, Some(body), &[("if-match", if_match)]).await
    };
    let unseen = world.call(Method::PATCH, &path, Some(json!({ "username": "eve" }))).await;
    assert_eq!(unseen.problem(428), "precondition-required");
    let token = world.token("alice", "cars").await;
    let changed = patch(json!({ "username": "Alicia", "email": "a@example.org" }), &seen).await;
    assert!(changed.header("propusk-enforcement").starts_with("outcome=enforced;seq="), "{changed:?}");
    let now = changed.header("etag");
    assert_ne!(now, seen);
    let body = changed.expect(200);
    assert_eq!((&body["username"], &body["email"]), (&json!("alicia"), &json!("a@example.org")));
    assert_eq!(world.introspect("cars", &token).await["active"], false, "tokens are refreshed after a change");
    world.sign_in("alicia", &world.password("alice"), "cars").await.expect(200);
    world.sign_in("alice", &world.password("alice"), "cars").await.problem(401);
    assert_eq!(patch(json!({ "email": null }), &seen).await.problem(412), "changed");
    // What is not named stays; null takes away.
    let body = patch(json!({ "email": null }), &now).await.expect(200);
    assert_eq!((&body["username"], &body["email"]), (&json!("alicia"), &json!(null)));
    for (body, status) in [
        (json!({ "username": "bob" }), 409),
        (json!({ "username": "" }), 422),
        (json!({ "email": "@" }), 422),
        (json!({ "disabled": true }), 400),
        (json!({ "username": 7 }), 400),
    ] {
        patch(body, "*").await.problem(status);
    }
    world.call_with(Method::PATCH, "/users/u_none", Some(json!({})), &[("if-match", "*")]).await.problem(404);
    assert_eq!(world.get(&path).await["username"], "alicia");
}

#[tokio::test]
async fn who_is_deleted_is_erased_and_the_audit_log_stays() {
    let world = World::start().await;
    let id = make(&world, json!({ "username": "carol", "password": PASSWORD, "email": "carol@example.org" })).await;
    let path = format!("/users/{id}");
    world.put(&format!("{path}/roles/cars/buyer")).await;
    world.post("/groups", json!({ "id": "drivers" })).await.expect(201);
    world.put(&format!("/groups/drivers/members/{id}")).await;
    let tokens = world.sign_in("carol", PASSWORD, "cars").await.expect(200);
    let token = tokens["access_token"].as_str().unwrap();
    let ended = world.call(Method::DELETE, &path, None).await.expect(200);
    assert_eq!(ended["outcome"], "enforced");
    assert_eq!(world.introspect("cars", token).await, json!({ "active": false }));
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    let refreshed = world.call_openly(Method::POST, "/auth/refresh", refresh).await;
    assert_eq!(refreshed.problem(401), "invalid-refresh-token");
    world.sign_in("carol", PASSWORD, "cars").await.problem(401);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/enable")),
        (Method::PUT, format!("{path}/roles/cars/buyer")),
        (Method::GET, format!("{path}/roles")),
    ] {
        assert_eq!(world.call(method, &path, None).await.problem(404), "not-found", "{path}");
    }
    assert_eq!(world.get("/users?username=carol").await["items"], json!([]));
    assert_eq!(world.get("/groups/drivers/members").await["items"], json!([]));
    // The audit log still knows what was done to whom, and says nothing personal.
    let audit = world.get(&format!("/audit?subject={id}")).await;
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions[0], "user_deleted");
    assert!(actions.contains(&&json!("login")) && actions.contains(&&json!("user_registered")), "{actions:?}");
    assert!(!audit.to_string().contains("carol"), "{audit}");
    // The name is free again, the id is not the same.
    assert_ne!(make(&world, json!({ "username": "carol" })).await, id);
}

#[tokio::test]
async fn a_post_that_comes_again_gets_its_answer_again() {
    let world = World::start().await;
    let post = async |body: &Value, key: &str| {
        world.call_with(Method::POST, "/users", Some(body.clone()), &[("idempotency-key", key)]).await
    };
    let carol = json!({ "username": "carol", "password": PASSWORD });
    let first = post(&carol, "k1").await;
    let etag = first.header("etag");
    let first = first.expect(201);
    let again = post(&carol, "k1").await;
    assert_eq!(again.header("etag"), etag);
    assert_eq!(again.expect(201), first);
    // Another request, or another key, is judged by itself.
    let dave = json!({ "username": "dave", "password": PASSWORD });
    assert_eq!(post(&dave, "k1").await.problem(422), "idempotency-key-reused");
    assert_eq!(post(&carol, "k2").await.problem(409), "username-taken");
    // What was refused is not kept.
    post(&dave, "k2").await.expect(201);
    // Fifty at once make one.
    let erin = json!({ "username": "erin" });
    let answers = futures_util::future::join_all((0..50).map(|_| post(&erin, "k3"))).await;
    let first = answers[0].body.clone();
    for answer in answers {
        assert_eq!(answer.expect(201), first);
    }
    // A key belongs to its caller.
    let bob = world.id("bob");
    world.put(&format!("/users/{bob}/roles/propusk/admin")).await;
    let disable = format!("/users/{}/disable", world.id("alice"));
    let disabled = world.call_with(Method::POST, &disable, None, &[("idempotency-key", "k4")]).await.expect(200);
    world.call(Method::POST, &format!("/users/{}/enable", world.id("alice")), None).await.expect(200);
    let again = world.call_with(Method::POST, &disable, None, &[("idempotency-key", "k4")]).await.expect(200);
    assert_eq!(again["seq"], disabled["seq"]);
    let alice = world.get(&format!("/users/{}", world.id("alice"))).await;
    assert_eq!(alice["disabled"], false, "it was done once, and undone since");
    for key in ["", &"k".repeat(256)] {
        assert_eq!(post(&dave, key).await.problem(400), "bad-request");
    }
}
