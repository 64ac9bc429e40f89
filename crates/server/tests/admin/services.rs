//! Services: registered with a ring of their own, changed, ended; and who may exchange tokens for them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, claims};

#[tokio::test]
async fn a_service_is_registered_and_has_tokens_at_once() {
    let world = World::start().await;
    for (id, alg, jws_alg) in [("vans", "Ed25519", "EdDSA"), ("boats", "RS256", "RS256")] {
        let made = world
            .post(
                "/services",
                json!({ "id": id, "alg": alg, "resource_uri": format!("https://{id}.example/"), "access_ttl_s": 60 }),
            )
            .await;
        assert!(made.header("propusk-enforcement").starts_with("outcome=enforced"));
        let etag = made.header("etag");
        let made = made.expect(201);
        assert_eq!((&made["id"], &made["alg"], &made["jws_alg"]), (&json!(id), &json!(alg), &json!(jws_alg)));
        let shown = world.call(Method::GET, &format!("/services/{id}"), None).await;
        assert_eq!(shown.header("etag"), etag);
        assert_eq!(shown.expect(200), made);
        let token = claims(&world.token("alice", id).await);
        assert_eq!(token["aud"], id);
        assert_eq!(token["exp"].as_u64().unwrap() - token["iat"].as_u64().unwrap(), 60);
        let jwks = world.call_openly(Method::GET, &format!("/keys/{id}/jwks.json"), json!(null)).await.expect(200);
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
        assert_eq!(world.get(&format!("/services/{id}/keys")).await["items"].as_array().unwrap().len(), 2);
        world.role(&format!("{id}/driver"), &[&format!("{id}:drive")], &[]).await;
    }
    let list = world.get("/services?limit=200").await;
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|service| service["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["boats", "cars", "posts", "propusk", "users", "vans"]);
    for body in [
        json!({ "id": "vans", "alg": "Ed25519" }),
        json!({ "id": "trams", "alg": "Ed25519", "resource_uri": "https://vans.example/" }),
    ] {
        assert_eq!(world.post("/services", body).await.problem(409), "service-exists");
    }
    for (pointer, body) in [
        ("/id", json!({ "id": "No", "alg": "Ed25519" })),
        ("/alg", json!({ "id": "trams", "alg": "none" })),
        ("/jws_alg", json!({ "id": "trams", "alg": "RS256", "jws_alg": "EdDSA" })),
        ("/resource_uri", json!({ "id": "trams", "alg": "RS256", "resource_uri": "trams" })),
        ("/resource_uri", json!({ "id": "trams", "alg": "RS256", "resource_uri": "https://a.example/#b" })),
        ("/access_ttl_s", json!({ "id": "trams", "alg": "RS256", "access_ttl_s": 0 })),
        ("/access_ttl_s", json!({ "id": "trams", "alg": "RS256", "access_ttl_s": 3601 })),
        ("/rotate_every_s", json!({ "id": "trams", "alg": "RS256", "rotate_every_s": 59 })),
    ] {
        let answer = world.post("/services", body).await;
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
        assert_eq!(answer.problem(422), "invalid-field");
    }
}

#[tokio::test]
async fn a_service_is_changed_as_seen() {
    let world = World::start().await;
    let seen = world.call(Method::GET, "/services/cars", None).await.header("etag");
    let patch = async |body: Value, if_match: &str| {
        world.call_with(Method::PATCH, "/services/cars", Some(body), &[("if-match", if_match)]).await
    };
    assert_eq!(
        world.call(Method::PATCH, "/services/cars", Some(json!({}))).await.problem(428),
        "precondition-required"
    );
    let changed = patch(json!({ "access_ttl_s": 30, "resource_uri": "urn:cars" }), &seen).await;
    let now = changed.header("etag");
    let changed = changed.expect(200);
    assert_eq!((&changed["access_ttl_s"], &changed["resource_uri"]), (&json!(30), &json!("urn:cars")));
    let token = claims(&world.token("alice", "cars").await);
    assert_eq!(token["exp"].as_u64().unwrap() - token["iat"].as_u64().unwrap(), 30);
    assert_eq!(patch(json!({ "access_ttl_s": null }), &seen).await.problem(412), "changed");
    let changed = patch(json!({ "access_ttl_s": null }), &now).await.expect(200);
    assert_eq!((&changed["access_ttl_s"], &changed["resource_uri"]), (&json!(null), &json!("urn:cars")));
    for every in [json!(60), json!(0), json!(null)] {
        let changed = patch(json!({ "rotate_every_s": every }), "*").await.expect(200);
        assert_eq!((&changed["rotate_every_s"], &changed["resource_uri"]), (&every, &json!("urn:cars")));
    }
    for (body, status) in [
        (json!({ "access_ttl_s": 0 }), 422),
        (json!({ "rotate_every_s": 59 }), 422),
        (json!({ "resource_uri": "x" }), 422),
        (json!({ "alg": "RS256" }), 400),
    ] {
        patch(body, "*").await.problem(status);
    }
    let posts = [("if-match", "*")];
    let taken = world.call_with(Method::PATCH, "/services/posts", Some(json!({ "resource_uri": "urn:cars" })), &posts);
    assert_eq!(taken.await.problem(409), "service-exists");
}

#[tokio::test]
async fn who_deletes_a_service_ends_its_tokens() {
    let world = World::start().await;
    let token = world.token("alice", "cars").await;
    let other = world.token("alice", "posts").await;
    assert_eq!(world.call(Method::DELETE, "/services/propusk", None).await.problem(409), "last-admin");
    world.delete("/services/cars").await;
    assert_eq!(world.introspect("cars", &token).await, json!({ "active": false }));
    assert_eq!(world.introspect("posts", &other).await["active"], true);
    for path in ["/services/cars", "/services/cars/roles", "/services/cars/keys"] {
        assert_eq!(world.call(Method::GET, path, None).await.problem(404), "not-found", "{path}");
    }
    let keys = world.call_openly(Method::GET, "/keys/cars/jwks.json", json!(null)).await;
    assert_eq!(keys.problem(404), "not-found");
    let answer = world.sign_in("alice", &world.password("alice"), "cars").await;
    assert_eq!(answer.problem(400), "invalid-target");
    assert_eq!(world.get("/clients/demo-m2m").await["audiences"], json!(["users", "posts"]));
    assert_eq!(world.get("/clients/demo-m2m").await["roles"], json!([]));
    assert_eq!(world.get(&format!("/users/{}/roles", world.id("alice"))).await["items"], json!([]));
    let again = world.post("/services", json!({ "id": "cars", "alg": "Ed25519" })).await;
    assert_eq!(again.problem(409), "service-exists", "an id is not given again");
}

#[tokio::test]
async fn what_is_exchanged_follows_the_rules() {
    let world = World::start().await;
    let exchange = async || world.exchange("cars", &world.token("alice", "cars").await, "posts").await;
    assert_eq!(exchange().await.unwrap_err(), "invalid_target");
    let path = "/exchange-rules/cars/posts";
    let put = async |body: Value| world.call(Method::PUT, path, Some(body)).await;
    put(json!({ "subjects": ["client"], "from": ["cars"] })).await.expect(200);
    assert_eq!(exchange().await.unwrap_err(), "invalid_target");
    put(json!({ "subjects": ["user", "client"], "from": ["cars"] })).await.expect(200);
    let token = claims(&exchange().await.unwrap());
    assert_eq!((&token["aud"], &token["act"]["sub"]), (&json!("posts"), &json!("cars")));
    world.delete(path).await;
    assert_eq!(exchange().await.unwrap_err(), "invalid_target");
    assert_eq!(world.call(Method::DELETE, path, None).await.problem(404), "not-found");
    for (body, status) in [
        (json!({ "subjects": ["robot"], "from": ["cars"] }), 422),
        (json!({ "subjects": ["user"], "from": ["No"] }), 422),
        (json!({ "subjects": ["user"], "from": ["none"] }), 404),
        (json!({ "subjects": ["user"] }), 400),
    ] {
        put(body).await.problem(status);
    }
    for path in ["/exchange-rules/none/posts", "/exchange-rules/cars/none"] {
        let body = json!({ "subjects": ["user"], "from": ["cars"] });
        assert_eq!(world.call(Method::PUT, path, Some(body)).await.problem(404), "not-found");
    }
}
