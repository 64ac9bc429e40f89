//! What holds for every call that changes something: it is audited once, and a POST is done once.
//!
//! A call that the document lists and [`changes`] does not name fails the tests here: add it where it can be done.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World};

const PASSWORD: &str = "seven violet staplers 4417";

/// A change that can be made when those before it were made.
struct Change {
    /// As the document has it, without `/admin/v1`.
    route: (&'static str, &'static str),
    path: String,
    body: Option<Value>,
    /// What the audit log says of it: action and subject.
    audited: (&'static str, String),
    /// What is answered if it is asked for again, when there is nothing left to change; `None`: it changes each time.
    again: Option<u16>,
}

/// Calls that change nothing but the audit log; done twice, they are done twice.
const OTHERS: &[(&str, &str)] = &[("post", "/backup")];

fn client(id: &str) -> Value {
    json!({
        "client_id": id, "client_name": id, "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic", "audiences": ["cars"],
    })
}

/// Each changing call of the admin API, in an order in which they all change something.
async fn changes(world: &World) -> Vec<Change> {
    let (alice, bob) = (world.id("alice"), world.id("bob"));
    let token = world.token("bob", "propusk").await;
    let session = crate::world::claims(&token)["sid"].as_str().unwrap().to_owned();
    let kid = world.get("/services/posts/keys").await["items"][0]["kid"].as_str().unwrap().to_owned();
    let mut all = Vec::new();
    let mut add = |route, path: &str, body: Option<Value>, action, subject: &str, again| {
        all.push(Change { route, path: path.to_owned(), body, audited: (action, subject.to_owned()), again });
    };
    let user = |rest: &str| format!("/users/{bob}{rest}");
    add(("post", "/users"), "/users", Some(json!({ "username": "erin" })), "user_registered", "", Some(409));
    let people = Some(json!({ "items": [{ "username": "frank" }] }));
    add(("post", "/users/import"), "/users/import", people, "user_imported", "", Some(200));
    add(("delete", "/sessions/{id}"), &format!("/sessions/{session}"), None, "session_ended", &bob, Some(200));
    let email = Some(json!({ "email": "bob@example.org" }));
    add(("patch", "/users/{id}"), &user(""), email, "user_changed", &bob, Some(200));
    add(("post", "/users/{id}/disable"), &user("/disable"), None, "user_disabled", &bob, Some(200));
    add(("post", "/users/{id}/enable"), &user("/enable"), None, "user_enabled", &bob, Some(200));
    let password = Some(json!({ "password": PASSWORD }));
    add(("put", "/users/{id}/password"), &user("/password"), password, "password_changed", &bob, None);
    add(("delete", "/users/{id}/sessions"), &user("/sessions"), None, "signed_out_everywhere", &bob, None);
    let path = user("/roles/cars/buyer");
    add(("put", "/users/{id}/roles/{service}/{role}"), &path, None, "role_given", &bob, Some(200));
    add(("delete", "/users/{id}/roles/{service}/{role}"), &path, None, "role_taken", &bob, Some(200));
    let jti = Some(json!({ "jti": "some-token" }));
    add(("post", "/tokens/revoke"), "/tokens/revoke", jti, "token_revoked", "", Some(200));
    let chief = "/services/cars/roles/chief";
    let role = Some(json!({ "permissions": ["cars:look"] }));
    add(("put", "/services/{service}/roles/{role}"), chief, role, "role_put", "chief", Some(200));
    let permission = "/services/{service}/roles/{role}/permissions/{permission}";
    let path = format!("{chief}/permissions/cars:fly");
    add(("put", permission), &path, None, "role_put", "chief", Some(200));
    add(("delete", permission), &path, None, "role_put", "chief", Some(200));
    add(("post", "/groups"), "/groups", Some(json!({ "id": "drivers" })), "group_created", "drivers", Some(409));
    let path = format!("/groups/drivers/members/{alice}");
    add(("put", "/groups/{id}/members/{user_id}"), &path, None, "member_added", &alice, Some(200));
    let roles = "/groups/drivers/roles/cars/chief";
    let route = "/groups/{id}/roles/{service}/{role}";
    add(("put", route), roles, None, "group_role_given", "drivers", Some(200));
    add(("delete", route), roles, None, "group_role_taken", "drivers", Some(200));
    add(("delete", "/groups/{id}/members/{user_id}"), &path, None, "member_removed", &alice, Some(200));
    add(("delete", "/groups/{id}"), "/groups/drivers", None, "group_deleted", "drivers", Some(404));
    let billing = "/clients/billing";
    add(("post", "/clients"), "/clients", Some(client("billing")), "client_created", "billing", Some(409));
    let name = Some(json!({ "client_name": "books" }));
    add(("patch", "/clients/{id}"), billing, name, "client_changed", "billing", Some(200));
    let secret = "/clients/billing/secret";
    add(("post", "/clients/{id}/secret"), secret, Some(json!({})), "client_secret_changed", "billing", None);
    let path = "/clients/billing/revoke-tokens";
    add(("post", "/clients/{id}/revoke-tokens"), path, None, "client_tokens_revoked", "billing", None);
    let path = "/clients/billing/disable";
    add(("post", "/clients/{id}/disable"), path, None, "client_disabled", "billing", Some(200));
    let path = "/clients/billing/enable";
    add(("post", "/clients/{id}/enable"), path, None, "client_enabled", "billing", Some(200));
    let (path, route) = ("/clients/billing/roles/cars/chief", "/clients/{id}/roles/{service}/{role}");
    add(("put", route), path, None, "role_given", "billing", Some(200));
    add(("delete", route), path, None, "role_taken", "billing", Some(200));
    let (path, route) = ("/exchange-rules/billing/posts", "/exchange-rules/{actor_client}/{audience}");
    let rule = Some(json!({ "subjects": ["user"], "from": ["cars"] }));
    add(("put", route), path, rule, "exchange_rule_put", "billing", Some(200));
    add(("delete", route), path, None, "exchange_rule_deleted", "billing", Some(404));
    add(("delete", "/clients/{id}"), billing, None, "client_deleted", "billing", Some(404));
    add(("delete", "/services/{service}/roles/{role}"), chief, None, "role_deleted", "chief", Some(404));
    let vans = Some(json!({ "id": "vans", "alg": "Ed25519" }));
    add(("post", "/services"), "/services", vans, "service_created", "vans", Some(409));
    let ttl = Some(json!({ "access_ttl_s": 60 }));
    add(("patch", "/services/{id}"), "/services/vans", ttl, "service_changed", "vans", Some(200));
    let path = "/services/vans/keys/rotate";
    add(("post", "/services/{id}/keys/rotate"), path, None, "key_rotation_begun", "vans", Some(202));
    let path = format!("/keys/{kid}/revoke");
    add(("post", "/keys/{kid}/revoke"), &path, None, "key_revoked", "posts", Some(200));
    add(("delete", "/services/{id}"), "/services/vans", None, "service_deleted", "vans", Some(404));
    add(("delete", "/users/{id}"), &user(""), None, "user_deleted", &bob, Some(404));
    all
}

/// Every changing call of the document.
async fn documented(world: &World) -> BTreeSet<(String, String)> {
    let document = world.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let under = paths.filter_map(|(path, item)| Some((path.strip_prefix("/admin/v1")?, item.as_object()?)));
    let calls = under.flat_map(|(path, item)| item.keys().map(move |method| (method.clone(), path.to_owned())));
    calls.filter(|(method, _)| method != "get").collect()
}

async fn send(world: &World, change: &Change, headers: &[(&str, &str)]) -> Answer {
    let method: Method = change.route.0.to_uppercase().parse().unwrap();
    let mut headers = headers.to_vec();
    if method == Method::PATCH {
        headers.push(("if-match", "*"));
    }
    world.call_with(method, &change.path, change.body.clone(), &headers).await
}

/// The entries of one request, oldest first.
async fn entries_of(world: &World, request: &str) -> Vec<Value> {
    let newest = world.get("/audit?limit=30").await;
    let all = newest["items"].as_array().unwrap().iter().rev();
    all.filter(|entry| entry["request_id"] == request).cloned().collect()
}

#[tokio::test]
async fn every_changing_call_is_tried() {
    let world = World::start().await;
    let owned = |(method, path): (&str, &str)| (method.to_owned(), path.to_owned());
    let mut tried: BTreeSet<_> = changes(&world).await.iter().map(|change| owned(change.route)).collect();
    tried.extend(OTHERS.iter().copied().map(owned));
    let documented = documented(&world).await;
    assert!(documented.len() > 30, "{documented:?}");
    let untried: Vec<_> = documented.difference(&tried).collect();
    assert!(untried.is_empty(), "documented, but not tried: {untried:?}");
    let gone: Vec<_> = tried.difference(&documented).collect();
    assert!(gone.is_empty(), "tried, but not documented: {gone:?}");
}

#[tokio::test]
async fn every_change_is_audited_once_and_what_changes_nothing_is_not() {
    let world = World::start().await;
    for (n, change) in changes(&world).await.iter().enumerate() {
        let what = format!("{:?}", change.route);
        let request = format!("audit-{n}");
        let answer = send(&world, change, &[("x-request-id", &request)]).await;
        assert!(answer.status.is_success(), "{what}: {answer:?}");
        let entries = entries_of(&world, &request).await;
        let [entry] = &entries[..] else { panic!("{what}: {entries:?}") };
        let (action, subject) = &change.audited;
        // Of whom it makes the answer tells.
        let subject = match &change.route {
            ("post", "/users") => answer.body["id"].as_str().unwrap(),
            ("post", "/users/import") => answer.body["items"][0]["id"].as_str().unwrap(),
            _ => subject,
        };
        assert_eq!((&entry["action"], &entry["subject"]), (&json!(action), &json!(subject)), "{what}");
        assert_eq!((&entry["actor"], &entry["outcome"]), (&json!("bootstrap-admin"), &json!("ok")), "{what}");
        assert!(entry["at"].is_string() && entry["n"].is_u64(), "{what}: {entry}");
        let of_service = change.path.contains("cars") || change.path.contains("vans") || change.path.contains("posts");
        assert!(!of_service || entry["service"].is_string(), "{what}: {entry}");
        let request = format!("again-{n}");
        let answer = send(&world, change, &[("x-request-id", &request)]).await;
        let entries = entries_of(&world, &request).await;
        match change.again {
            Some(status) => {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                assert!(entries.is_empty(), "{what}: {entries:?}");
            }
            None => assert_eq!(entries.len(), 1, "{what}: {entries:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_not_audited_as_done() {
    let world = World::start().await;
    let newest = async || world.get("/audit?limit=1").await["items"][0]["n"].clone();
    let changes = changes(&world).await;
    let before = newest().await;
    for change in &changes {
        let method: Method = change.route.0.to_uppercase().parse().unwrap();
        let refused = async |path: &str, body: Option<Value>, headers: &[(&str, &str)], status: u16| {
            let answer = world.call_with(method.clone(), path, body, headers).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        };
        // A parameter and a member that nobody knows, a wait that makes no sense, and what somebody else has changed.
        let seen = [("if-match", "\"0\"")];
        refused(&format!("{}?unknown=1", change.path), change.body.clone(), &seen, 400).await;
        refused(&format!("{}?wait=never", change.path), change.body.clone(), &seen, 400).await;
        if change.body.is_some() {
            refused(&change.path, Some(json!({ "unknown": 1 })), &seen, 400).await;
        }
        if change.route.0 == "patch" {
            let is_there = change.path != "/clients/billing" && change.path != "/services/vans";
            refused(&change.path, change.body.clone(), &seen, if is_there { 412 } else { 404 }).await;
            refused(&change.path, change.body.clone(), &[], 428).await;
        }
    }
    assert_eq!(newest().await, before);
}

/// Another body that is as good.
fn another(body: Option<&Value>) -> Value {
    let mut other = body.cloned().unwrap_or(json!({ "another": "request" }));
    let names = ["id", "jti", "username", "client_name", "items"];
    match other.as_object_mut().unwrap().iter_mut().find(|(name, _)| names.contains(&name.as_str())) {
        Some((_, Value::Array(items))) => items.push(json!({ "username": "grace" })),
        Some((_, value)) => *value = json!(format!("{}-too", value.as_str().unwrap())),
        None => other["overlap_s"] = json!(1),
    }
    other
}

/// As an attentive client does it: the same request, the same key, as often as it takes.
#[tokio::test]
async fn every_post_is_done_once_under_one_key() {
    let world = World::start().await;
    let mut posts = 0;
    for (n, change) in changes(&world).await.iter().enumerate() {
        if change.route.0 != "post" {
            send(&world, change, &[]).await;
            continue;
        }
        posts += 1;
        let what = format!("{:?}", change.route);
        let (key, request) = (format!("key-{n}"), format!("once-{n}"));
        let headers = [("idempotency-key", key.as_str()), ("x-request-id", request.as_str())];
        // At once, and one after the other: one execution, one answer.
        let mut answers = join_all((0..4).map(|_| send(&world, change, &headers))).await;
        answers.push(send(&world, change, &headers).await);
        let first = &answers[0];
        assert!(first.status.is_success(), "{what}: {first:?}");
        let told = |answer: &Answer| {
            let mut body = answer.body.clone();
            // How long it took is of the call, not of the change.
            body.as_object_mut().map(|members| members.remove("took_ms"));
            (answer.status, answer.header("etag"), body)
        };
        for answer in &answers[1..] {
            assert_eq!(told(answer), told(first), "{what}");
        }
        assert_eq!(entries_of(&world, &request).await.len(), 1, "{what}");
        // With the same key another request is refused, whether its body or its address is another.
        let answer = world.call_with(Method::POST, &change.path, Some(another(change.body.as_ref())), &headers).await;
        assert_eq!(answer.problem(422), "idempotency-key-reused", "{what}");
        let other = if change.path == "/groups" { "/users" } else { "/groups" };
        let body = if other == "/users" { json!({ "username": "x" }) } else { json!({ "id": "x" }) };
        let answer = world.call_with(Method::POST, other, Some(body), &headers).await;
        assert_eq!(answer.problem(422), "idempotency-key-reused", "{what}");
    }
    let documented = documented(&world).await;
    let in_document = documented.iter().filter(|(method, _)| method == "post").count();
    assert_eq!(posts + OTHERS.len(), in_document);
}
