//! The service over HTTP, with an authority and a `users` that the test plays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use demo_common::db::Db;
use http::{HeaderMap, StatusCode};
use propusk_verify::axum::serve_router;
use propusk_verify::exchange::TokenExchange;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::authors::Authors;
use crate::testing::{Answer, Issuer, NOWHERE, call, claims, config, start};
use crate::{Config, Posts, SERVICE, authors, routes, schema, serve};

/// The services around this one.
#[derive(Default)]
struct Others {
    exchanges: AtomicUsize,
    look_ups: AtomicUsize,
    /// Exchanged tokens below this number are not taken any more.
    oldest_good: AtomicUsize,
    is_frozen: AtomicBool,
}

/// The service and those around it.
struct World {
    issuer: Issuer,
    url: String,
    others: Arc<Others>,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let others = Arc::<Others>::default();
        let router =
            Router::new().route("/oauth/token", post(exchange)).route("/users", get(users)).with_state(others.clone());
        let url = start(router).await;
        Self::among(&url, &url, others).await
    }

    async fn among(authority: &str, users: &str, others: Arc<Others>) -> Self {
        let issuer = Issuer::granting(&[]);
        let verifier = issuer.verifier(SERVICE);
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("posts.sqlite"), schema::MIGRATIONS).unwrap();
        let exchange = TokenExchange::new(&format!("{authority}/oauth/token"), SERVICE, "psk_secret").unwrap();
        let authors = Authors::new(demo_common::http_client(authors::TIMEOUT, None).unwrap(), users, exchange);
        let url = start(serve_router(routes(&verifier, Posts { db, authors }), &verifier, true)).await;
        Self { issuer, url, others, _dir: dir }
    }

    fn token(&self, sub: &str) -> String {
        self.issuer.token(json!({"aud": SERVICE, "sub": sub}))
    }

    async fn list(&self, query: &str, token: &str) -> Answer {
        call("GET", &format!("{}/posts{query}", self.url), token, None).await
    }

    async fn write(&self, token: &str, content: &str) -> Answer {
        call("POST", &format!("{}/posts", self.url), token, Some(json!({"content": content}))).await
    }
}

/// The authority's side: the token for `users` is its number and whom it speaks for.
async fn exchange(
    State(others): State<Arc<Others>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Json<Value>, StatusCode> {
    let member = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let is_exchange = member("grant_type") == Some("urn:ietf:params:oauth:grant-type:token-exchange");
    if !headers.contains_key("authorization") || !is_exchange || member("audience") != Some("users") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let number = others.exchanges.fetch_add(1, Ordering::SeqCst);
    let sub = claims(member("subject_token").unwrap())["sub"].as_str().unwrap().to_owned();
    Ok(Json(json!({
        "access_token": format!("{number}.{sub}"),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 600,
    })))
}

/// The side of `users`: knows everybody but `u_stranger`, `u_x` as `x`, and tells more than it is asked for.
async fn users(
    State(others): State<Arc<Others>>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    others.look_ups.fetch_add(1, Ordering::SeqCst);
    if others.is_frozen.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let number: usize = token.split('.').next().unwrap().parse().unwrap();
    if number < others.oldest_good.load(Ordering::SeqCst) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let ids: Vec<&str> = query[0].1.split(',').collect();
    if ids.len() > 100 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let known = ids.into_iter().filter(|id| *id != "u_stranger");
    let answer = known.map(|id| json!({"user_id": id, "username": id.strip_prefix("u_").unwrap(), "balance": 5}));
    Json(answer.collect::<Vec<_>>()).into_response()
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
    for (method, path) in
        [("GET", "/posts"), ("POST", "/posts"), ("GET", "/posts/-/whoami"), ("GET", "/posts/-/whoami/elite")]
    {
        call(method, &format!("{}{path}", world.url), "", None).await.expect_problem(401, "no-credentials");
    }
}

#[tokio::test]
async fn posts_are_shown_newest_first_with_their_authors_in_one_call() {
    let world = World::new().await;
    let (alice, bob) = (world.token("u_alice"), world.token("u_bob"));
    let first = world.write(&alice, "hello").await.expect(201);
    let alice_data = json!({"user_id": "u_alice", "username": "alice"});
    let id = &first["post_id"];
    assert!(id.is_string());
    assert_eq!(first, json!({"post_id": id, "content": "hello", "user_id": "u_alice", "user_data": alice_data}));
    world.write(&bob, "hi").await.expect(201);
    world.write(&alice, "how are you?").await.expect(201);
    let before = world.others.look_ups.load(Ordering::SeqCst);
    let all = world.list("", &bob).await.expect(200);
    assert_eq!(world.others.look_ups.load(Ordering::SeqCst), before + 1);
    let shown: Vec<_> = all.as_array().unwrap().iter().map(|post| (&post["content"], &post["user_data"])).collect();
    let bob_data = json!({"user_id": "u_bob", "username": "bob"});
    let (question, hi, hello) = (json!("how are you?"), json!("hi"), json!("hello"));
    assert_eq!(shown, [(&question, &alice_data), (&hi, &bob_data), (&hello, &alice_data)]);
}

#[tokio::test]
async fn an_exchanged_token_is_kept_for_its_caller_and_nobody_else() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    world.write(&alice, "hello").await.expect(201);
    world.list("", &alice).await.expect(200);
    assert_eq!(world.others.exchanges.load(Ordering::SeqCst), 1);
    world.list("", &world.token("u_alice")).await.expect(200);
    assert_eq!(world.others.exchanges.load(Ordering::SeqCst), 2, "another token is another caller");
}

#[tokio::test]
async fn a_kept_token_that_is_not_taken_any_more_is_replaced() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    world.write(&alice, "hello").await.expect(201);
    world.others.oldest_good.store(1, Ordering::SeqCst);
    let all = world.list("", &alice).await.expect(200);
    assert_eq!(all[0]["user_data"]["username"], "alice");
    assert_eq!(world.others.exchanges.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_users_there_are_no_names_but_posts() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    world.write(&alice, "hello").await.expect(201);
    world.others.is_frozen.store(true, Ordering::SeqCst);
    assert_eq!(world.list("", &alice).await.expect(200)[0]["user_data"], Value::Null);

    let alone = World::among(NOWHERE, NOWHERE, Arc::default()).await;
    let post = alone.write(&alone.token("u_alice"), "hello").await.expect(201);
    assert_eq!(post["user_data"], Value::Null);
}

#[tokio::test]
async fn an_author_whom_users_does_not_know_has_no_name() {
    let world = World::new().await;
    world.write(&world.token("u_stranger"), "boo").await.expect(201);
    let all = world.list("", &world.token("u_alice")).await.expect(200);
    assert_eq!((&all[0]["user_id"], &all[0]["user_data"]), (&json!("u_stranger"), &Value::Null));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    for n in 0..5 {
        world.write(&alice, &n.to_string()).await.expect(201);
    }
    let contents = |answer: &Answer| -> Vec<String> {
        answer.json.as_array().unwrap().iter().map(|post| post["content"].as_str().unwrap().to_owned()).collect()
    };
    let first = world.list("?limit=3", &alice).await;
    assert_eq!(contents(&first), ["4", "3", "2"]);
    let link = first.headers["link"].to_str().unwrap();
    let next = link.strip_prefix("</posts").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let second = world.list(next, &alice).await;
    assert_eq!(contents(&second), ["1", "0"]);
    assert!(!second.headers.contains_key("link"));
    for query in ["?limit=0", "?limit=201", "?limit=x", "?cursor=x", "?curser=1"] {
        world.list(query, &alice).await.expect_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_post_has_to_make_sense() {
    let world = World::new().await;
    let alice = world.token("u_alice");
    for content in [String::new(), "x".repeat(10_001)] {
        let refused = world.write(&alice, &content).await.expect_problem(422, "invalid-field");
        assert_eq!(refused.json["errors"][0]["pointer"], "/content");
    }
    // The bound is on code points, not bytes.
    world.write(&alice, &"ж".repeat(10_000)).await.expect(201);
    let typo = json!({"content": "x", "contents": "y"});
    let refused = call("POST", &format!("{}/posts", world.url), &alice, Some(typo)).await;
    let refused = refused.expect_problem(400, "bad-request");
    assert!(refused.json["detail"].as_str().unwrap().contains("contents"), "{refused:?}");
}

#[tokio::test]
async fn a_client_reads_and_does_not_write() {
    let world = World::new().await;
    world.write(&world.token("u_alice"), "hello").await.expect(201);
    let client = world.token("demo-m2m");
    assert_eq!(world.list("", &client).await.expect(200)[0]["user_data"]["username"], "alice");
    world.write(&client, "beep").await.expect_problem(403, "people-only");
}
