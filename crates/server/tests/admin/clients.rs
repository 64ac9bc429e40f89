//! Clients: registered, changed, given another secret, ended.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

fn machine(id: Option<&str>) -> Value {
    let mut body = json!({
        "client_name": "a machine",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
        "audiences": ["cars"],
    });
    if let Some(id) = id {
        body["client_id"] = json!(id);
    }
    body
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_is_registered_and_its_secret_is_shown_once() {
    let world = World::start().await;
    let mut body = machine(None);
    body["redirect_uris"] = json!(["https://app.example/cb", "http://127.0.0.1:7000/cb"]);
    let made = world.post("/clients", body).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let etag = made.header("etag");
    let made = made.expect(201);
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    assert!(secret.starts_with("psk_") && secret.len() == 47, "{secret}");
    assert!(!id.starts_with("u_") && !id.starts_with("s_"), "{id}");
    world.client_token(&id, &secret, "cars").await.unwrap();
    let path = format!("/clients/{id}");
    let shown = world.call(Method::GET, &path, None).await;
    assert_eq!(shown.header("etag"), etag);
    let shown = shown.expect(200);
    assert!(shown.get("client_secret").is_none() && !shown.to_string().contains(&secret), "{shown}");
    assert_eq!(shown["redirect_uris"], json!(["https://app.example/cb", "http://127.0.0.1:7000/cb"]));
    assert_eq!((&shown["first_party"], &shown["disabled"]), (&json!(false), &json!(false)));
    assert_eq!(shown["roles"], json!([]));
    world.post("/clients", machine(Some("billing"))).await.expect(201);
    assert_eq!(world.post("/clients", machine(Some("billing"))).await.problem(409), "client-exists");
    let page = world.get("/clients?limit=3").await;
    let next = world.get(&format!("/clients?limit=3&cursor={}", text(&page, "next_cursor"))).await;
    assert!(text(&next["items"][0], "client_id") > text(&page["items"][2], "client_id"), "{next}");
}

#[tokio::test]
async fn what_is_wrong_of_a_client_is_told_at_once() {
    let world = World::start().await;
    for id in ["u_me", "s_me", "", "a b"] {
        let answer = world.post("/clients", machine(Some(id))).await;
        assert_eq!(answer.body["errors"][0]["pointer"], "/client_id");
        assert_eq!(answer.problem(422), "invalid-field");
    }
    let mut body = machine(None);
    body["client_name"] = json!("");
    body["grant_types"] = json!(["client_credentials", "implicit"]);
    body["token_endpoint_auth_method"] = json!("none");
    body["redirect_uris"] = json!(["https://app.example/cb", "http://app.example/cb"]);
    body["audiences"] = json!(["No"]);
    let answer = world.post("/clients", body).await;
    let errors = answer.body["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    let wrong = ["/client_name", "/grant_types/1", "/token_endpoint_auth_method", "/redirect_uris/1", "/audiences/0"];
    assert_eq!(pointers, wrong);
    let mut body = machine(None);
    body["audiences"] = json!(["none"]);
    assert_eq!(world.post("/clients", body).await.problem(422), "invalid-field");
    let mut body = machine(None);
    body["client_secret"] = json!("mine");
    assert_eq!(world.post("/clients", body).await.problem(400), "bad-request");
}

#[tokio::test]
async fn a_client_is_changed_as_seen() {
    let world = World::start().await;
    let made = world.post("/clients", machine(Some("billing"))).await;
    let seen = made.header("etag");
    let secret = text(&made.body, "client_secret");
    let token = world.client_token("billing", &secret, "cars").await.unwrap();
    let patch = async |body: Value, if_match: &str| {
        world.call_with(Method::PATCH, "/clients/billing", Some(body), &[("if-match", if_match)]).await
    };
    assert_eq!(
        world.call(Method::PATCH, "/clients/billing", Some(json!({}))).await.problem(428),
        "precondition-required"
    );
    let changed = patch(json!({ "audiences": ["posts"], "client_name": "books" }), &seen).await;
    let now = changed.header("etag");
    assert!(changed.header("propusk-enforcement").starts_with("outcome=enforced"));
    let changed = changed.expect(200);
    assert_eq!((&changed["audiences"], &changed["client_name"]), (&json!(["posts"]), &json!("books")));
    assert_eq!(changed["grant_types"], json!(["client_credentials"]), "what is not named stays");
    assert_eq!(world.introspect("cars", &token).await["active"], false);
    assert_eq!(world.client_token("billing", &secret, "cars").await.unwrap_err(), "invalid_target");
    world.client_token("billing", &secret, "posts").await.unwrap();
    assert_eq!(patch(json!({ "first_party": true }), &seen).await.problem(412), "changed");
    assert_eq!(patch(json!({ "grant_types": ["x"] }), &now).await.problem(422), "invalid-field");
    assert_eq!(patch(json!({ "audiences": ["none"] }), &now).await.problem(422), "invalid-field");
    // Nothing changed, nothing is told.
    let same = patch(json!({ "client_name": "books" }), &now).await;
    assert_eq!(same.header("etag"), now);
    let built_in = world.call_with(Method::PATCH, "/clients/auth-api", Some(json!({})), &[("if-match", "*")]).await;
    assert_eq!(built_in.problem(409), "built-in");
}

#[tokio::test]
async fn a_new_secret_leaves_the_old_one_for_as_long_as_it_was_asked() {
    let world = World::start().await;
    let first = text(&world.post("/clients", machine(Some("billing"))).await.body, "client_secret");
    let token = world.client_token("billing", &first, "cars").await.unwrap();
    let made = world.post("/clients/billing/secret", json!({ "overlap_s": 3600 })).await;
    assert!(made.header("propusk-enforcement").starts_with("outcome=enforced"));
    let made = made.expect(201);
    let second = text(&made, "client_secret");
    assert!(made["previous_valid_until"].is_string(), "{made}");
    assert_ne!(first, second);
    assert_eq!(world.introspect("cars", &token).await["active"], false, "its tokens are refreshed");
    for secret in [&first, &second] {
        world.client_token("billing", secret, "cars").await.unwrap();
    }
    // The next one ends the first; without an overlap the second ends at once.
    let third = world.post("/clients/billing/secret", json!({})).await.expect(201);
    assert_eq!(third["previous_valid_until"], json!(null));
    for (secret, is_good) in [(&first, false), (&second, false), (&text(&third, "client_secret"), true)] {
        assert_eq!(world.client_token("billing", secret, "cars").await.is_ok(), is_good);
    }
    // A second is soon over.
    let fourth = text(&world.post("/clients/billing/secret", json!({ "overlap_s": 1 })).await.body, "client_secret");
    let third = text(&third, "client_secret");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while world.client_token("billing", &third, "cars").await.is_ok() {
        assert!(std::time::Instant::now() < until, "the old secret is still good");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.client_token("billing", &fourth, "cars").await.unwrap();
    for (path, body, status) in [
        ("/clients/billing/secret", json!({ "overlap_s": 604_801 }), 422),
        ("/clients/billing/secret", json!({ "overlap": 1 }), 400),
        ("/clients/none/secret", json!({}), 404),
        ("/clients/auth-api/secret", json!({}), 409),
    ] {
        world.post(path, body).await.problem(status);
    }
}

#[tokio::test]
async fn a_lost_secret_comes_again_with_its_key() {
    let world = World::start().await;
    let headers = [("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")];
    let post = async |path: &str, body: Value| world.call_with(Method::POST, path, Some(body), &headers).await;
    let first = post("/clients", machine(None)).await.expect(201);
    assert_eq!(post("/clients", machine(None)).await.expect(201), first);
    world.client_token(&text(&first, "client_id"), &text(&first, "client_secret"), "cars").await.unwrap();
    let path = format!("/clients/{}/secret", text(&first, "client_id"));
    // The same key at another address is another request.
    assert_eq!(post(&path, json!({})).await.problem(422), "idempotency-key-reused");
    // Neither secret nor body is to be read in the data.
    let stored = world.stored_bytes();
    for plain in [&text(&first, "client_secret"), &"8e03978e-40d5-43dd-bc93-6894a57f9324".to_owned()] {
        assert!(!stored.windows(plain.len()).any(|part| part == plain.as_bytes()), "{plain}");
    }
    let id = text(&first, "client_id");
    assert!(stored.windows(id.len()).any(|part| part == id.as_bytes()), "the data is looked at");
}

#[tokio::test]
async fn revoking_disabling_and_deleting_end_what_is_out() {
    let world = World::start().await;
    let secret = text(&world.post("/clients", machine(Some("billing"))).await.body, "client_secret");
    let token = async || world.client_token("billing", &secret, "cars").await;
    let before = token().await.unwrap();
    world.call(Method::POST, "/clients/billing/revoke-tokens", None).await.expect(200);
    assert_eq!(world.introspect("cars", &before).await["active"], false);
    let again = token().await.unwrap();
    assert_eq!(world.introspect("cars", &again).await["active"], true);
    world.call(Method::POST, "/clients/billing/disable", None).await.expect(200);
    assert_eq!(world.introspect("cars", &again).await["active"], false);
    assert_eq!(token().await.unwrap_err(), "invalid_client");
    world.call(Method::POST, "/clients/billing/enable", None).await.expect(200);
    let last = token().await.unwrap();
    assert_eq!(world.introspect("cars", &again).await["active"], false, "from before");
    world.delete("/clients/billing").await;
    assert_eq!(world.introspect("cars", &last).await["active"], false);
    assert_eq!(token().await.unwrap_err(), "invalid_client");
    assert_eq!(world.call(Method::GET, "/clients/billing", None).await.problem(404), "not-found");
    assert_eq!(world.call(Method::DELETE, "/clients/billing", None).await.problem(404), "not-found");
    assert_eq!(world.post("/clients", machine(Some("billing"))).await.problem(409), "client-exists");
    assert_eq!(world.last_audit("billing").await["action"], "client_deleted");
    for (method, path) in [(Method::DELETE, "/clients/auth-api"), (Method::POST, "/clients/auth-api/disable")] {
        assert_eq!(world.call(method, path, None).await.problem(409), "built-in");
    }
}
