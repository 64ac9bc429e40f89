//! The service over HTTP, with an authority that the test plays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Form, Json, Router};
use demo_common::db::Db;
use http::{HeaderMap, StatusCode};
use propusk_verify::axum::serve_router;
use propusk_verify::check::CheckVerdict;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::people::STARTING_BALANCE;
use crate::testing::{Issuer, NOWHERE, call, claims, config, start};
use crate::{CALL_TIMEOUT, SERVICE, Users, routes, schema, serve};

/// The service and those around it.
struct World {
    issuer: Issuer,
    url: String,
    introspected: Arc<AtomicUsize>,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let introspected = Arc::<AtomicUsize>::default();
        let authority = Router::new().route("/oauth/introspect", post(introspect)).with_state(introspected.clone());
        Self::with_authority(start(authority).await, introspected).await
    }

    async fn with_authority(authority: String, introspected: Arc<AtomicUsize>) -> Self {
        let issuer = Issuer::granting(&[]);
        let verifier = issuer.verifier(SERVICE);
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("users.sqlite"), schema::MIGRATIONS).unwrap();
        let http = demo_common::http_client(CALL_TIMEOUT, None).unwrap();
        let authority = Authority::new(http, &authority, SERVICE.into(), "psk_secret".to_owned().into());
        let url = start(serve_router(routes(&verifier, Users { db, authority }), &verifier, true)).await;
        Self { issuer, url, introspected, _dir: dir }
    }

    fn token(&self, sub: &str) -> String {
        self.issuer.token(json!({"aud": SERVICE, "sub": sub}))
    }

    /// A token of a person for whom `actor` acts.
    fn acted(&self, sub: &str, actor: &str) -> String {
        self.issuer.token(json!({"aud": SERVICE, "sub": sub, "act": {"sub": actor}}))
    }

    async fn get(&self, path: &str, token: &str) -> crate::testing::Answer {
        call("GET", &format!("{}{path}", self.url), token, None).await
    }

    async fn balance(&self, sub: &str) -> Value {
        self.get("/users/me", &self.token(sub)).await.expect(200)["balance"].clone()
    }

    async fn debit(&self, token: &str, amount: i64, reference: &str) -> crate::testing::Answer {
        let body = json!({"amount": amount, "reference": reference});
        call("POST", &format!("{}/users/me/debits", self.url), token, Some(body)).await
    }

    async fn void(&self, token: &str, reference: &str) -> crate::testing::Answer {
        call("POST", &format!("{}/users/debits/{reference}/void", self.url), token, None).await
    }
}

/// The authority's side: `u_x` is called `x`. The subject `u_gone` is not active any more.
async fn introspect(
    State(count): State<Arc<AtomicUsize>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Json<Value>, StatusCode> {
    count.fetch_add(1, Ordering::SeqCst);
    if headers.get("authorization").is_none_or(|basic| basic != "Basic dXNlcnM6cHNrX3NlY3JldA==") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let (_, token) = form.iter().find(|(name, _)| name == "token").ok_or(StatusCode::BAD_REQUEST)?;
    let sub = claims(token)["sub"].as_str().unwrap().to_owned();
    if sub == "u_gone" {
        return Ok(Json(json!({"active": false})));
    }
    let username = sub.strip_prefix("u_").unwrap_or(&sub);
    Ok(Json(json!({"active": true, "sub": sub, "username": username, "token_type": "Bearer"})))
}

#[tokio::test]
async fn it_starts_and_ends_without_an_authority() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(SERVICE, dir.path());
    assert!(!format!("{config:?}").contains("psk_secret"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, config, async { drop(stopped.await) }));
    call("GET", &format!("{url}/-/live"), "", None).await.expect(200);
    call("GET", &format!("{url}/-/ready"), "", None).await.expect(503);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/users"),
        ("GET", "/users/me"),
        ("GET", "/users/u_alice"),
        ("POST", "/users/me/debits"),
        ("POST", "/users/debits/r/void"),
        ("GET", "/users/-/whoami"),
        ("GET", "/users/-/whoami/elite"),
    ] {
        call(method, &format!("{}{path}", world.url), "", None).await.expect_problem(401, "no-credentials");
    }
}

#[tokio::test]
async fn a_person_is_made_at_the_first_call_and_looked_up_once() {
    let world = World::new().await;
    for _ in 0..3 {
        let me = world.get("/users/me", &world.token("u_alice")).await.expect(200);
        assert_eq!(me, json!({"user_id": "u_alice", "username": "alice", "balance": STARTING_BALANCE}));
    }
    assert_eq!(world.introspected.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn others_see_no_balance_and_nobody_unknown() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    world.get("/users/u_bob", &alice).await.expect_problem(404, "not-found");
    world.get("/users/me", &world.token("u_bob")).await.expect(200);
    let bob = world.get("/users/u_bob", &alice).await.expect(200);
    assert_eq!(bob, json!({"user_id": "u_bob", "username": "bob"}));
    // By asking for Bob, Alice became known herself.
    let both = world.get("/users?ids=u_bob,u_nobody,u_alice", &alice).await.expect(200);
    let own = json!({"user_id": "u_alice", "username": "alice", "balance": STARTING_BALANCE});
    assert_eq!(both, json!([bob, own]));
}

#[tokio::test]
async fn a_batch_has_a_bound_and_a_form() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    let ids = vec!["u_alice"; 100].join(",");
    assert_eq!(world.get(&format!("/users?ids={ids}"), &alice).await.expect(200).as_array().unwrap().len(), 100);
    world.get(&format!("/users?ids={ids},u_bob"), &alice).await.expect_problem(400, "bad-request");
    world.get("/users", &alice).await.expect_problem(400, "bad-request");
    let unknown = world.get("/users?ids=u_alice&idz=1", &alice).await.expect_problem(400, "bad-request");
    assert!(unknown.json["detail"].as_str().unwrap().contains("idz"), "{unknown:?}");
}

#[tokio::test]
async fn a_client_is_no_person() {
    let world = World::new().await;
    let client = world.token("demo-m2m");
    let me = world.get("/users/me", &client).await.expect(200);
    assert_eq!(me, json!({"user_id": "demo-m2m", "username": "demo-m2m"}));
    world.get("/users/demo-m2m", &client).await.expect_problem(404, "not-found");
    world.debit(&world.acted("demo-m2m", "cars"), 1, "r").await.expect_problem(403, "people-only");
    assert_eq!(world.introspected.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_the_authority_a_new_person_waits_and_others_are_answered() {
    let world = World::with_authority(NOWHERE.to_owned(), Arc::default()).await;
    let me = world.get("/users/me", &world.token("u_alice")).await.expect_problem(503, "authority-unavailable");
    assert_eq!(me.headers["retry-after"], "1");
    assert_eq!(world.get("/users?ids=u_bob", &world.token("u_alice")).await.expect(200), json!([]));
}

#[tokio::test]
async fn whoever_the_authority_does_not_vouch_for_is_not_made() {
    let world = World::new().await;
    world.get("/users/me", &world.token("u_gone")).await.expect_problem(401, "token-stale");
    world.get("/users/u_gone", &world.token("u_alice")).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn a_debit_is_done_once_for_a_reference() {
    let world = World::new().await;
    let buyer = world.acted("u_alice", "cars");
    let first = world.debit(&buyer, 1_000, "sale-1").await.expect(201);
    let left = STARTING_BALANCE - 1_000;
    assert_eq!(first, json!({"reference": "sale-1", "user_id": "u_alice", "amount": 1_000, "balance": left}));
    world.debit(&buyer, 500, "sale-2").await.expect(201);
    assert_eq!(world.debit(&buyer, 1_000, "sale-1").await.expect(200), first, "the first answer");
    world.debit(&buyer, 999, "sale-1").await.expect_problem(409, "reference-conflict");
    world.debit(&world.acted("u_bob", "cars"), 1_000, "sale-1").await.expect_problem(409, "reference-conflict");
    assert_eq!(world.balance("u_alice").await, left - 500);
    assert_eq!(world.balance("u_bob").await, STARTING_BALANCE);
}

#[tokio::test]
async fn fifty_at_once_are_one_debit() {
    let world = World::new().await;
    let buyer = world.acted("u_alice", "cars");
    let answers = futures_util::future::join_all((0..50).map(|_| world.debit(&buyer, 7, "sale"))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let repeated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((made, repeated), (1, 49));
    assert_eq!(world.balance("u_alice").await, STARTING_BALANCE - 7);
}

#[tokio::test]
async fn no_balance_goes_below_zero() {
    let world = World::new().await;
    let buyer = world.acted("u_alice", "cars");
    world.debit(&buyer, STARTING_BALANCE + 1, "too-much").await.expect_problem(409, "insufficient-funds");
    world.debit(&buyer, STARTING_BALANCE, "all").await.expect(201);
    world.debit(&buyer, 1, "one-more").await.expect_problem(409, "insufficient-funds");
    assert_eq!(world.balance("u_alice").await, 0);
}

#[tokio::test]
async fn a_voided_reference_is_refunded_once_and_closed_for_good() {
    let world = World::new().await;
    let (buyer, cars) = (world.acted("u_alice", "cars"), world.token("cars"));
    world.debit(&buyer, 1_000, "sale").await.expect(201);
    for _ in 0..2 {
        assert_eq!(world.void(&cars, "sale").await.expect(200), json!({"reference": "sale", "state": "voided"}));
        assert_eq!(world.balance("u_alice").await, STARTING_BALANCE);
    }
    world.debit(&buyer, 1_000, "sale").await.expect_problem(409, "voided");
    // A debit that comes after its void finds the door closed.
    world.void(&cars, "late").await.expect(200);
    world.debit(&buyer, 1_000, "late").await.expect_problem(409, "voided");
    assert_eq!(world.balance("u_alice").await, STARTING_BALANCE);
}

#[tokio::test]
async fn only_cars_charges_and_voids() {
    let world = World::new().await;
    for token in [world.token("u_alice"), world.acted("u_alice", "posts"), world.token("cars")] {
        let refused = world.debit(&token, 1, "r").await.expect_problem(403, "missing-permission");
        assert_eq!(refused.headers["propusk-verdict"], "forbidden");
    }
    let nested = json!({"aud": SERVICE, "sub": "u_alice", "act": {"sub": "posts", "act": {"sub": "cars"}}});
    world.debit(&world.issuer.token(nested), 1, "r").await.expect_problem(403, "missing-permission");
    for token in [world.token("u_alice"), world.acted("u_alice", "cars"), world.token("posts")] {
        world.void(&token, "r").await.expect_problem(403, "missing-permission");
    }
    assert_eq!(world.balance("u_alice").await, STARTING_BALANCE);
}

#[tokio::test]
async fn a_debit_has_to_make_sense() {
    let world = World::new().await;
    let buyer = world.acted("u_alice", "cars");
    for (amount, reference, pointer) in
        [(0, "r", "/amount"), (-5, "r", "/amount"), (1, "", "/reference"), (1, "ü", "/reference")]
    {
        let refused = world.debit(&buyer, amount, reference).await.expect_problem(422, "invalid-field");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    let url = format!("{}/users/me/debits", world.url);
    let typo = json!({"amount": 1, "reference": "r", "ammount": 2});
    let refused = call("POST", &url, &buyer, Some(typo)).await.expect_problem(400, "bad-request");
    assert!(refused.json["detail"].as_str().unwrap().contains("ammount"), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_ends_before_the_effect_charges_nobody() {
    let world = World::new().await;
    let (buyer, cars) = (world.acted("u_alice", "cars"), world.token("cars"));
    world.debit(&buyer, 1_000, "before").await.expect(201);
    world.issuer.state.after(1, Ok(CheckVerdict::Refused));
    world.debit(&buyer, 1_000, "sale").await.expect_problem(401, "token-revoked");
    world.issuer.state.after(1, Ok(CheckVerdict::Stale));
    world.void(&cars, "before").await.expect_problem(401, "token-stale");
    assert_eq!(world.balance("u_alice").await, STARTING_BALANCE - 1_000);
    // Neither attempt left a trace.
    world.debit(&buyer, 1_000, "sale").await.expect(201);
}
