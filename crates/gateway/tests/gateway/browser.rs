//! People: signing in and out, the cookie, CSRF, and the ways to the sign-in page and back.

use serde_json::json;

use crate::http::{Answer, Req, get, post};
use crate::world::{PASSWORD, World};

const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
const CROSS_SITE: (&str, &str) = ("Sec-Fetch-Site", "cross-site");
const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

fn by_form(return_to: &str) -> Req {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("username", "alice"), ("password", PASSWORD), ("return_to", return_to)])
        .finish();
    post("/login").headers(&[SAME_ORIGIN, NAVIGATE]).form(&body)
}

fn by_json(password: &str) -> Req {
    post("/login").header("Propusk-CSRF", "1").json(&json!({"username": "alice", "password": password}))
}

/// The one cookie, with exactly these attributes.
fn check_cookie(answer: &Answer) -> String {
    let all = answer.all("set-cookie");
    let [line] = all.as_slice() else { panic!("one cookie\n{answer:?}") };
    let value = answer.session_cookie().unwrap();
    assert_eq!(*line, format!("__Host-Http-propusk={value}; Path=/; Secure; HttpOnly; SameSite=Strict"));
    assert!(line.len() < 4096 && !value.is_empty());
    value
}

fn check_cleared(answer: &Answer) {
    let cleared = "__Host-Http-propusk=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";
    assert_eq!(answer.all("set-cookie"), [cleared], "\n{answer:?}");
}

#[tokio::test]
async fn signing_in_by_json() {
    let world = World::start().await;
    let answer = world.send(by_json(PASSWORD).header("User-Agent", "Test/1")).await.expect(200);
    let cookie = check_cookie(&answer);
    assert_eq!(answer.json(), json!({"user_id": "u_alice", "username": "alice", "expires_at": "2100-01-01T00:00:00Z"}));
    assert_eq!(answer.header("cache-control"), "no-store");
    let (head, form) = world.authority.last_form();
    assert_eq!((form["audience"].as_str(), head["user-agent"].to_str().unwrap()), ("propusk", "Test/1"));
    assert_eq!(head["forwarded"], "for=127.0.0.1");
    world.send(get("/cars").cookie(&cookie)).await.expect(200);
    let session = world.send(get("/session").cookie(&cookie)).await.expect(200);
    assert_eq!(session.json()["username"], "alice");
}

#[tokio::test]
async fn signing_in_by_the_page() {
    let world = World::start().await;
    let page = world.get("/login?return_to=%2Fcars%3Fa%3Db").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for piece in ["name=\"username\"", "name=\"password\"", "name=\"return_to\" value=\"/cars?a=b\"", "id=\"sign-in\""]
    {
        assert!(page.text().contains(piece), "{piece}");
    }
    let answer = world.send(by_form("/cars?a=b")).await.expect(303);
    check_cookie(&answer);
    assert_eq!(answer.header("location"), "/cars?a=b");
    for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""] {
        let answer = world.send(by_form(elsewhere)).await.expect(303);
        assert_eq!(answer.header("location"), "/", "{elsewhere}");
        let page = world.get(&format!("/login?return_to={elsewhere}")).await.expect(200);
        assert!(page.text().contains("name=\"return_to\" value=\"/\""), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_wrong_password() {
    let world = World::start().await;
    let answer = world.send(by_json("wrong")).await.expect_problem(401, "invalid-credentials");
    assert_eq!(answer.session_cookie(), None);
    assert!(
        !answer.header("www-authenticate").contains("Basic"),
        "a page's script must not raise the browser's own dialog"
    );
    let form = "username=%22%3E%3Cscript%3E&password=wrong&return_to=/cars";
    let page = world.send(post("/login").headers(&[SAME_ORIGIN]).form(form)).await.expect(401);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text().contains("role=\"alert\"") && page.text().contains("value=\"/cars\""));
    assert!(!page.text().contains("<script") && !page.text().contains("wrong"), "\n{page:?}");
    assert_eq!(page.session_cookie(), None);
}

#[tokio::test]
async fn a_sign_in_that_makes_no_sense() {
    let world = World::start().await;
    let json = |body| post("/login").header("Propusk-CSRF", "1").json(&body);
    let answer = world.send(json(json!({"username": "a", "password": "b", "admin": true}))).await;
    assert!(answer.expect_problem(400, "bad-request").json()["detail"].as_str().unwrap().contains("admin"));
    world.send(json(json!({"username": "a"}))).await.expect_problem(400, "bad-request");
    world
        .send(post("/login").header("Propusk-CSRF", "1").body(b"x"))
        .await
        .expect_problem(415, "unsupported-media-type");
    let huge = "x".repeat(20_000);
    world.send(json(json!({"username": "a", "password": huge}))).await.expect_problem(413, "body-too-large");
    let answer = world.send(crate::http::req("PUT", "/login")).await.expect_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST");
    assert_eq!(world.authority.count("password"), 0);
}

#[tokio::test]
async fn an_authority_that_has_no_time_or_is_away() {
    let mut world = World::start().await;
    for (status, body, expected, slug) in [
        (429, json!({"error": "slow_down"}), 429, "throttled"),
        (503, json!({"error": "temporarily_unavailable"}), 503, "busy"),
        (500, json!({"error": "server_error"}), 503, "authority-unavailable"),
        (401, json!({"error": "invalid_client"}), 503, "authority-unavailable"),
    ] {
        world.authority.answers_instead(status, body);
        let answer = world.send(by_json(PASSWORD)).await.expect_problem(expected, slug);
        assert_eq!(answer.header("retry-after"), "7");
        let page = world.send(by_form("/")).await.expect(expected);
        assert!(page.text().contains("role=\"alert\"") && !page.header("retry-after").is_empty());
        assert_eq!((answer.session_cookie(), page.session_cookie()), (None, None));
    }
    world.authority_server.stop().await;
    let answer = world.send(by_json(PASSWORD)).await.expect_problem(503, "authority-unavailable");
    assert_ne!(answer.header("retry-after"), "");
    let register = post("/auth/register").json(&json!({}));
    let answer = world.send(register).await.expect_problem(503, "authority-unavailable");
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_new_sign_in_ends_the_session_that_the_browser_had() {
    let world = World::start().await;
    let first = world.sign_in().await;
    let answer = world.send(by_form("/").cookie(&first)).await.expect(303);
    world.until("the end of the former session", |world| world.authority.open_sessions() == 1).await;
    world.send(get("/cars").cookie(&first)).await.expect_problem(401, "token-revoked");
    world.send(get("/cars").cookie(&answer.session_cookie().unwrap())).await.expect(200);
}

#[tokio::test]
async fn signing_out() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let answer = world.send(post("/logout").cookie(&cookie).headers(&[SAME_ORIGIN])).await.expect(204);
    check_cleared(&answer);
    assert_eq!(answer.header("propusk-enforcement"), "outcome=enforced;seq=42;took-ms=7");
    assert_eq!((world.authority.count("revoke"), world.authority.open_sessions()), (1, 0));
    let answer = world.send(get("/cars").cookie(&cookie)).await.expect_problem(401, "token-revoked");
    check_cleared(&answer);
    // By the page, and once more: there is nothing left to end.
    let form = post("/logout").cookie(&cookie).headers(&[SAME_ORIGIN, NAVIGATE]).form("x=y");
    let answer = world.send(form).await.expect(303);
    check_cleared(&answer);
    assert_eq!(answer.header("location"), "/");
    check_cleared(&world.send(post("/logout").headers(&[SAME_ORIGIN])).await.expect(204));
    assert_eq!(world.authority.count("revoke"), 1);
}

#[tokio::test]
async fn a_sign_out_that_the_authority_does_not_hear_changes_nothing() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.authority.answers_instead(500, json!({}));
    let answer = world.send(post("/logout").cookie(&cookie).headers(&[SAME_ORIGIN])).await;
    assert_eq!(answer.expect_problem(503, "authority-unavailable").session_cookie(), None);
    let page = world.send(post("/logout").cookie(&cookie).headers(&[SAME_ORIGIN]).form("x=y")).await.expect(503);
    assert!(page.text().contains("still signed in") && page.session_cookie().is_none(), "\n{page:?}");
}

#[tokio::test]
async fn who_is_signed_in() {
    let world = World::start().await;
    world.get("/session").await.expect_problem(401, "no-credentials");
    world.send(get("/session").cookie("nonsense")).await.expect_problem(401, "invalid-token");
    let cookie = world.sign_in().await;
    world.send(get("/session").cookie(&cookie)).await.expect(200);
    world.send(post("/session").cookie(&cookie)).await.expect_problem(405, "method-not-allowed");
    // A fresh browser with the same cookie, after the session was ended elsewhere.
    let other = world.sign_in().await;
    world.authority.end_all();
    let answer = world.send(get("/session").cookie(&other)).await.expect_problem(401, "token-revoked");
    check_cleared(&answer);
    assert!(!answer.header("www-authenticate").contains("Basic"));
}

#[tokio::test]
async fn the_home_page() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let page = world.send(get("/").cookie(&cookie)).await.expect(200);
    assert!(page.text().contains("alice") && page.text().contains("action=\"/logout\""));
    let answer = world.send(get("/").headers(&[NAVIGATE, SAME_ORIGIN])).await.expect(303);
    assert_eq!(answer.header("location"), "/login?return_to=%2F");
    world.get("/").await.expect_problem(401, "no-credentials");
}

#[tokio::test]
async fn csrf() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let own = format!("http://{}", world.gateway);
    let rows: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[("Propusk-CSRF", "1")], true),
        (&[("Propusk-CSRF", "yes")], false),
        (&[SAME_ORIGIN], true),
        (&[("Sec-Fetch-Site", "none")], true),
        (&[("Sec-Fetch-Site", "same-site")], false),
        (&[CROSS_SITE], false),
        (&[CROSS_SITE, ("Propusk-CSRF", "1")], false),
        (&[("Origin", &own)], true),
        (&[("Origin", "https://evil.example")], false),
        (&[("Origin", "null")], false),
        (&[("Origin", "https://evil.example"), ("Propusk-CSRF", "1")], false),
        (&[SAME_ORIGIN, ("Origin", "https://evil.example")], false),
    ];
    for (lines, allowed) in rows {
        let request = |method: &str, target: &str| crate::http::req(method, target).headers(lines);
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let answer = world.send(request(method, "/cars").cookie(&cookie)).await;
            if *allowed {
                answer.expect(200)
            } else {
                answer.expect_problem(403, "csrf")
            };
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            world.send(request(method, "/cars").cookie(&cookie)).await.expect(200);
        }
        // A bearer token is never sent by a browser on its own.
        world.send(request("POST", "/cars").bearer(&world.token("cars"))).await.expect(200);
        let login = request("POST", "/login").json(&json!({"username": "alice", "password": "wrong"}));
        let answer = world.send(login).await;
        let slug = if *allowed { "invalid-credentials" } else { "csrf" };
        answer.expect_problem(if *allowed { 401 } else { 403 }, slug);
        if !allowed {
            let answer = world.send(request("POST", "/logout").cookie(&cookie)).await.expect_problem(403, "csrf");
            assert_eq!(answer.session_cookie(), None);
            world.send(request("POST", "/auth/register").cookie(&cookie)).await.expect_problem(403, "csrf");
        }
    }
    assert_eq!(world.authority.count("revoke"), 0);
}

#[tokio::test]
async fn people_without_a_session_are_led_to_the_sign_in_page() {
    let world = World::start().await;
    let answer = world.send(get("/cars/7?a=b").headers(&[NAVIGATE, SAME_ORIGIN])).await.expect(303);
    assert_eq!(answer.header("location"), "/login?return_to=%2Fcars%2F7%3Fa%3Db");
    for mode in ["cors", "no-cors", "same-origin"] {
        world.send(get("/cars").header("Sec-Fetch-Mode", mode)).await.expect_problem(401, "no-credentials");
    }
    let answer = world.send(get("/cars").headers(&[NAVIGATE]).cookie("nonsense")).await.expect(303);
    assert_eq!(answer.header("location"), "/login?return_to=%2Fcars");
    assert!(world.service.seen().is_empty());
}

#[tokio::test]
async fn who_comes_by_a_link_from_elsewhere_is_bounced_and_stays_signed_in() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let page = world.send(get("/cars/7?a=b&c").headers(&[NAVIGATE, CROSS_SITE])).await.expect(200);
    assert!(page.text().contains("<meta http-equiv=\"refresh\" content=\"0;url=/cars/7?a=b&#38;c\">"), "\n{page:?}");
    assert_eq!((page.session_cookie(), page.header("cache-control").as_str()), (None, "no-store"));
    // The reload comes from this site, so it brings the cookie.
    world.send(get("/cars/7?a=b&c").headers(&[NAVIGATE, SAME_ORIGIN]).cookie(&cookie)).await.expect(200);
    // Who is not signed in goes on to the sign-in page, also if the browser still says "cross-site".
    world.send(get("/cars/7").headers(&[NAVIGATE, SAME_ORIGIN])).await.expect(303);
    let referrer = format!("http://{}/cars/7", world.gateway);
    world.send(get("/cars/7").headers(&[NAVIGATE, CROSS_SITE]).header("Referer", &referrer)).await.expect(303);
    // With the cookie there is nothing to bounce, and programs are not bounced.
    world.send(get("/cars/7").headers(&[NAVIGATE, CROSS_SITE]).cookie(&cookie)).await.expect(200);
    world.send(get("/cars/7").headers(&[CROSS_SITE])).await.expect_problem(401, "no-credentials");
}
