//! The service over HTTP, with an authority and a `users` that the test plays. `users` loses what the test tells it to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Json, Router};
use demo_common::db::Db;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use propusk_verify::axum::serve_router;
use propusk_verify::check::{CheckUnavailable, CheckVerdict};
use propusk_verify::exchange::TokenExchange;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::accounts::Accounts;
use crate::testing::{Answer, Issuer, NOWHERE, call, claims, config, start};
use crate::{Cars, Config, SERVICE, routes, schema, serve};

const START: i64 = 10_000_000;

/// What goes wrong with a call to `users`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It is not done.
    LostRequest,
    /// It is done, and nobody hears of it.
    LostAnswer,
    /// It is done, and the answer does not come.
    Silence,
}

/// `users`.
#[derive(Default)]
struct Users {
    faults: VecDeque<Fault>,
    balances: HashMap<String, i64>,
    charged: HashMap<String, (String, i64)>,
    voided: HashSet<String>,
}

type Shared = Arc<Mutex<Users>>;

impl Users {
    fn charge(&mut self, buyer: &str, amount: i64, reference: &str) -> (StatusCode, Json<Value>) {
        let problem = |slug: &str| (StatusCode::CONFLICT, Json(json!({"type": format!("urn:propusk:problem:{slug}")})));
        if self.voided.contains(reference) {
            return problem("voided");
        }
        if self.charged.contains_key(reference) {
            return (StatusCode::OK, Json(json!({})));
        }
        let balance = self.balances.entry(buyer.to_owned()).or_insert(START);
        if *balance < amount {
            return problem("insufficient-funds");
        }
        *balance -= amount;
        self.charged.insert(reference.to_owned(), (buyer.to_owned(), amount));
        (StatusCode::CREATED, Json(json!({})))
    }

    fn void(&mut self, reference: &str) {
        if let Some((buyer, amount)) = self.charged.remove(reference) {
            *self.balances.get_mut(&buyer).unwrap() += amount;
        }
        self.voided.insert(reference.to_owned());
    }
}

#[derive(Deserialize)]
struct Debit {
    amount: i64,
    reference: String,
}

fn bearer(headers: &HeaderMap) -> String {
    headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

async fn debit(State(users): State<Shared>, headers: HeaderMap, Json(debit): Json<Debit>) -> Response {
    let buyer = bearer(&headers).strip_prefix("cars for ").unwrap().to_owned();
    with_fault(&users, |users| users.charge(&buyer, debit.amount, &debit.reference).into_response()).await
}

async fn void(State(users): State<Shared>, headers: HeaderMap, Path(reference): Path<String>) -> Response {
    assert_eq!(bearer(&headers), "cars");
    with_fault(&users, |users| {
        users.void(&reference);
        StatusCode::OK.into_response()
    })
    .await
}

async fn with_fault(users: &Shared, done: impl FnOnce(&mut Users) -> Response) -> Response {
    let (fault, answer) = {
        let mut users = users.lock().unwrap();
        let fault = users.faults.pop_front().unwrap_or(Fault::None);
        (fault, if fault == Fault::LostRequest { None } else { Some(done(&mut users)) })
    };
    match (fault, answer) {
        (Fault::None, Some(answer)) => answer,
        (Fault::Silence, _) => std::future::pending().await,
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// The authority's side: tokens for `users` that say in plain text whom they speak for.
async fn token(Form(form): Form<HashMap<String, String>>) -> Response {
    assert_eq!(form["audience"], "users");
    let token = match form["grant_type"].as_str() {
        "client_credentials" => "cars".to_owned(),
        _ => format!("cars for {}", claims(&form["subject_token"])["sub"].as_str().unwrap()),
    };
    if token == "cars for u_gone" {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request"}))).into_response();
    }
    let issued = "urn:ietf:params:oauth:token-type:access_token";
    Json(json!({"access_token": token, "issued_token_type": issued, "token_type": "Bearer", "expires_in": 600}))
        .into_response()
}

/// The service and those around it.
struct World {
    issuer: Issuer,
    url: String,
    users: Shared,
    cars: Cars,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::waiting(Duration::from_secs(10)).await
    }

    /// For tests in which `users` is silent.
    async fn impatient() -> Self {
        Self::waiting(Duration::from_secs(1)).await
    }

    async fn waiting(patience: Duration) -> Self {
        let users = Shared::default();
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/users/me/debits", post(debit))
            .route("/users/debits/{reference}/void", post(void))
            .with_state(users.clone());
        let url = start(router).await;
        Self::among(&url, &url, users, patience).await
    }

    async fn among(authority: &str, users_url: &str, users: Shared, patience: Duration) -> Self {
        let issuer = Issuer::granting(&["cars:buy", "cars:create", "cars:delete"]);
        let verifier = issuer.verifier(SERVICE);
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("cars.sqlite"), schema::MIGRATIONS).unwrap();
        let endpoint = format!("{authority}/oauth/token");
        let exchange = TokenExchange::new(&endpoint, SERVICE, "psk_secret").unwrap();
        let secret = "psk_secret".to_owned().into();
        let http = demo_common::http_client(patience, None).unwrap();
        let accounts = Accounts::new(http, users_url, endpoint, SERVICE.into(), secret, exchange);
        let cars = Cars { db, accounts };
        let url = start(serve_router(routes(&verifier, cars.clone()), &verifier, true)).await;
        Self { issuer, url, users, cars, _dir: dir }
    }

    fn token(&self, sub: &str) -> String {
        self.issuer.token(json!({"aud": SERVICE, "sub": sub}))
    }

    async fn call(&self, method: &str, path: &str, sub: &str, body: Option<Value>) -> Answer {
        call(method, &format!("{}{path}", self.url), &self.token(sub), body).await
    }

    async fn buy(&self, car: &str, sub: &str) -> Answer {
        self.call("POST", &format!("/cars/{car}/buy"), sub, None).await
    }

    async fn car(&self, car: &str) -> Value {
        self.call("GET", &format!("/cars/{car}"), "u_anyone", None).await.expect(200)
    }

    fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.users.lock().unwrap().faults.extend(faults);
    }

    fn balance(&self, sub: &str) -> i64 {
        self.users.lock().unwrap().balances.get(sub).copied().unwrap_or(START)
    }

    /// What the recovery loop does, as if it were much later.
    async fn recover(&self) {
        self.cars.close_abandoned(i64::MAX).await.unwrap();
    }

    /// The car is nobody's, and nobody has paid.
    async fn assert_nothing_happened(&self, car: &str) {
        assert_eq!(self.car(car).await["owner_id"], Value::Null);
        assert!(self.users.lock().unwrap().charged.is_empty());
        assert!(self.users.lock().unwrap().balances.values().all(|balance| *balance == START));
    }
}

#[tokio::test]
async fn it_starts_and_ends_without_an_authority() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { common: config(SERVICE, dir.path()), users_url: NOWHERE.into() };
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
        ("GET", "/cars"),
        ("POST", "/cars"),
        ("GET", "/cars/1"),
        ("DELETE", "/cars/1"),
        ("POST", "/cars/1/buy"),
        ("GET", "/cars/-/whoami"),
        ("GET", "/cars/-/whoami/elite"),
    ] {
        call(method, &format!("{}{path}", world.url), "", None).await.expect_problem(401, "no-credentials");
    }
}

#[tokio::test]
async fn there_are_cars_from_the_start() {
    let world = World::new().await;
    let cars = world.call("GET", "/cars", "u_alice", None).await.expect(200);
    assert!(cars.as_array().unwrap().len() >= 20);
    assert_eq!(cars[0], world.car("1").await);
    assert_eq!(cars[0], json!({"car_id": "1", "model": "Aurora 1.4", "price": 950_000, "owner_id": null}));
    for unknown in ["0", "999", "x", "1.5"] {
        world.call("GET", &format!("/cars/{unknown}"), "u_alice", None).await.expect_problem(404, "not-found");
        world.buy(unknown, "u_alice").await.expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let world = World::new().await;
    let first = world.call("GET", "/cars?limit=20", "u_alice", None).await;
    let link = first.headers["link"].to_str().unwrap();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    assert_eq!(first.expect(200)[19]["car_id"], "20");
    let second = world.call("GET", &next, "u_alice", None).await;
    assert!(!second.headers.contains_key("link"));
    assert_eq!(second.expect(200)[0]["car_id"], "21");
    for query in ["limit=0", "limit=201", "cursor=x", "offset=3"] {
        let path = format!("/cars?{query}");
        world.call("GET", &path, "u_alice", None).await.expect_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_car_is_made_and_deleted_by_those_who_may() {
    let world = World::new().await;
    let new = json!({"model": "Test", "price": 5});
    let car = world.call("POST", "/cars", "u_admin", Some(new)).await.expect(201);
    let path = format!("/cars/{}", car["car_id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path, "u_alice", None).await.expect(200), car);
    world.call("DELETE", &path, "u_admin", None).await.expect(204);
    world.call("DELETE", &path, "u_admin", None).await.expect_problem(404, "not-found");
    for (wrong, pointer) in [
        (json!({"model": "", "price": 5}), "/model"),
        (json!({"model": "x".repeat(101), "price": 5}), "/model"),
        (json!({"model": "Test", "price": 0}), "/price"),
    ] {
        let refused = world.call("POST", "/cars", "u_admin", Some(wrong)).await.expect_problem(422, "invalid-field");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    let typo = json!({"model": "Test", "price": 5, "colour": "red"});
    let refused = world.call("POST", "/cars", "u_admin", Some(typo)).await.expect_problem(400, "bad-request");
    assert!(refused.json["detail"].as_str().unwrap().contains("colour"), "{refused:?}");
}

#[tokio::test]
async fn each_permission_is_its_own() {
    let world = World::new().await;
    let without = |permissions: &[&str]| {
        Ok(CheckVerdict::Good { roles: Vec::new(), permissions: permissions.iter().map(|&p| p.to_owned()).collect() })
    };
    let new = json!({"model": "Test", "price": 5});
    for (method, path, body, others) in [
        ("POST", "/cars", Some(new), ["cars:buy", "cars:delete"]),
        ("DELETE", "/cars/1", None, ["cars:buy", "cars:create"]),
        ("POST", "/cars/1/buy", None, ["cars:create", "cars:delete"]),
    ] {
        world.issuer.state.after(0, without(&others));
        world.call(method, path, "u_alice", body).await.expect_problem(403, "missing-permission");
    }
    world.assert_nothing_happened("1").await;
}

#[tokio::test]
async fn a_car_is_sold_once() {
    let world = World::new().await;
    let price = world.car("3").await["price"].as_i64().unwrap();
    let car = world.buy("3", "u_alice").await.expect(200);
    assert_eq!(car["owner_id"], "u_alice");
    assert_eq!(world.car("3").await, car);
    world.buy("3", "u_bob").await.expect_problem(409, "already-sold");
    world.buy("3", "u_alice").await.expect_problem(409, "already-sold");
    assert_eq!((world.balance("u_alice"), world.balance("u_bob")), (START - price, START));
    world.recover().await;
    assert_eq!(world.balance("u_alice"), START - price);
}

#[tokio::test]
async fn of_thirty_buyers_one_gets_the_car_and_pays() {
    let world = World::new().await;
    let buyers: Vec<String> = (0..30).map(|n| format!("u_{n}")).collect();
    let answers = join_all(buyers.iter().map(|buyer| world.buy("5", buyer))).await;
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    let losers = answers.into_iter().filter(|answer| answer.status != 200);
    losers.for_each(|answer| drop(answer.expect_problem(409, "already-sold")));
    assert_eq!(world.users.lock().unwrap().charged.len(), 1);
}

#[tokio::test]
async fn a_buyer_who_asks_many_times_at_once_pays_once() {
    let world = World::new().await;
    let price = world.car("5").await["price"].as_i64().unwrap();
    let answers = join_all((0..20).map(|_| world.buy("5", "u_alice"))).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
    assert_eq!(world.car("5").await["owner_id"], "u_alice");
    assert_eq!(world.balance("u_alice"), START - price);
}

#[tokio::test]
async fn who_cannot_pay_does_not_hold_the_car() {
    let world = World::new().await;
    let new = json!({"model": "Dear", "price": START});
    let dear = world.call("POST", "/cars", "u_admin", Some(new)).await.expect(201);
    let dear = dear["car_id"].as_str().unwrap();
    world.buy("1", "u_alice").await.expect(200);
    for _ in 0..2 {
        world.buy(dear, "u_alice").await.expect_problem(409, "insufficient-funds");
    }
    world.buy(dear, "u_bob").await.expect(200);
    assert_eq!(world.balance("u_bob"), 0);
}

#[tokio::test]
async fn a_lost_message_is_made_good_by_trying_again() {
    for fault in [Fault::LostRequest, Fault::LostAnswer, Fault::Silence] {
        let world = World::impatient().await;
        let price = world.car("2").await["price"].as_i64().unwrap();
        world.faults([fault, fault]);
        for _ in 0..2 {
            let undecided = world.buy("2", "u_alice").await.expect_problem(503, "sale-pending");
            assert!(undecided.headers.contains_key("retry-after"));
        }
        world.buy("2", "u_bob").await.expect_problem(409, "already-sold");
        world.call("DELETE", "/cars/2", "u_admin", None).await.expect_problem(409, "sale-pending");
        assert_eq!(world.buy("2", "u_alice").await.expect(200)["owner_id"], "u_alice");
        assert_eq!(world.balance("u_alice"), START - price, "{fault:?}");
    }
}

#[tokio::test]
async fn a_sale_that_nobody_goes_on_with_is_voided() {
    for fault in [Fault::LostRequest, Fault::LostAnswer, Fault::Silence] {
        let world = World::impatient().await;
        world.faults([fault]);
        world.buy("2", "u_alice").await.expect_problem(503, "sale-pending");
        // The way to void it may be as bad, but not for ever.
        world.faults([Fault::LostRequest, Fault::LostAnswer, Fault::Silence]);
        for _ in 0..3 {
            world.recover().await;
            world.buy("2", "u_alice").await.expect_problem(503, "sale-pending");
            world.buy("2", "u_bob").await.expect_problem(409, "already-sold");
        }
        world.recover().await;
        world.assert_nothing_happened("2").await;
        world.buy("2", "u_bob").await.expect(200);
        assert_eq!(world.users.lock().unwrap().charged.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_debit_that_comes_after_all_is_refused() {
    let world = World::new().await;
    world.faults([Fault::LostRequest]);
    world.buy("2", "u_alice").await.expect_problem(503, "sale-pending");
    world.recover().await;
    let reference = world.users.lock().unwrap().voided.iter().next().unwrap().clone();
    let (late, _) = world.users.lock().unwrap().charge("u_alice", 1, &reference);
    assert_eq!(late, StatusCode::CONFLICT);
    world.assert_nothing_happened("2").await;
}

/// The first check lets the request in, the second is in the transaction that reserves, the third in the one that sells.
#[tokio::test]
async fn a_buyer_who_is_revoked_on_the_way_neither_gets_the_car_nor_pays() {
    for (after, verdict, slug) in [
        (1, CheckVerdict::Refused, "token-revoked"),
        (1, CheckVerdict::Stale, "token-stale"),
        (2, CheckVerdict::Refused, "token-revoked"),
        (2, CheckVerdict::Stale, "token-stale"),
        (2, CheckVerdict::Good { roles: Vec::new(), permissions: Vec::new() }, "missing-permission"),
    ] {
        let world = World::new().await;
        world.issuer.state.after(after, Ok(verdict));
        let status = if slug == "missing-permission" { 403 } else { 401 };
        world.buy("2", "u_alice").await.expect_problem(status, slug);
        world.assert_nothing_happened("2").await;
        assert_eq!(world.users.lock().unwrap().voided.len(), after - 1, "what was charged is given back");
        world.buy("2", "u_bob").await.expect(200);
    }
}

#[tokio::test]
async fn when_nobody_can_tell_at_the_moment_of_effect_the_buyer_tries_again() {
    let world = World::new().await;
    let price = world.car("2").await["price"].as_i64().unwrap();
    world.issuer.state.after(2, Err(CheckUnavailable("away".into())));
    world.buy("2", "u_alice").await.expect_problem(503, "cannot-tell");
    assert_eq!(world.car("2").await["owner_id"], Value::Null);
    world.buy("2", "u_alice").await.expect(200);
    assert_eq!(world.balance("u_alice"), START - price);
}

#[tokio::test]
async fn without_a_token_for_users_nothing_begins() {
    let world = World::new().await;
    world.buy("2", "u_gone").await.expect_problem(401, "token-stale");
    let machine = world.buy("2", "demo-m2m").await.expect_problem(403, "people-only");
    assert!(machine.json["detail"].as_str().unwrap().contains("a person's account"), "{machine:?}");
    world.assert_nothing_happened("2").await;
    let alone = World::among(NOWHERE, NOWHERE, Shared::default(), Duration::from_secs(1)).await;
    let away = alone.buy("2", "u_alice").await.expect_problem(503, "authority-unavailable");
    assert!(away.headers.contains_key("retry-after"));
    // No sale was opened.
    alone.call("DELETE", "/cars/2", "u_admin", None).await.expect(204);
}
