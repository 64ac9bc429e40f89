//! What a service sees of a request, a client of an answer, and what is never forwarded.

use propusk_verify::check::CheckVerdict;
use serde_json::json;

use crate::http::{get, post, req};
use crate::world::{World, good};

#[tokio::test]
async fn a_service_sees_the_request_as_it_was_and_the_token() {
    let world = World::start().await;
    let token = world.token("cars");
    let request =
        req("PATCH", "/cars/7?a=b%20c&d").bearer(&token).header("X-Custom", "kept").header("Cookie", "a=b; c=d");
    world.send(request.body(b"xyz")).await.expect(200);
    let seen = world.service.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PATCH", "/cars/7?a=b%20c&d"));
    assert_eq!(seen.token(), token);
    assert_eq!(seen.headers["x-custom"], "kept");
    assert_eq!(seen.headers["cookie"], "a=b; c=d");
    assert_eq!(seen.headers["host"], world.service_server.address.to_string());
    assert_eq!(seen.headers["content-length"], "3");
}

#[tokio::test]
async fn nobody_can_say_who_they_are_by_a_header() {
    let world = World::start().await;
    let forged = [
        ("Propusk-Sub", "root"),
        ("PROPUSK_VERDICT", "x"),
        ("Remote-User", "root"),
        ("REMOTE_USER", "root"),
        ("X-Remote-User", "root"),
        ("X_Remote_Groups", "root"),
        ("X-Auth-Request-Email", "root"),
        ("X-Authenticated-User", "root"),
        ("X-User", "root"),
        ("x_user_id", "root"),
        ("X-Forwarded-User", "root"),
        ("X-Forwarded_Email", "root"),
        ("X-Forwarded-Groups", "root"),
        ("X-Forwarded-Preferred-Username", "root"),
        ("X-Forwarded-Access-Token", "root"),
        ("X-JWT-Assertion", "root"),
        ("X-Id-Token", "root"),
        ("X-Access-Token", "root"),
        ("Txn-Token", "root"),
        ("Connection", "X-Named"),
        ("X-Named", "root"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/root"),
    ];
    let cookie = world.sign_in().await;
    let request = get("/cars/1").headers(&forged).header("Cookie", &format!("x=y; __Host-Http-propusk={cookie}"));
    world.send(request).await.expect(200);
    let seen = world.service.last().headers;
    for (name, value) in &seen {
        let value = value.to_str().unwrap();
        assert!(!value.contains("root") && !value.contains("6.6.6.6"), "{name}: {value}");
    }
    assert_eq!(seen["cookie"], "x=y");
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen["x-real-ip"], "127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-forwarded-host"], world.gateway.to_string());
    assert!(seen["authorization"].to_str().unwrap().starts_with("Bearer "));
    assert!(!seen.contains_key("x-forwarded-prefix"));
}

#[tokio::test]
async fn a_listed_proxy_is_believed() {
    let world = World::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let token = world.token("cars");
    world
        .send(get("/cars").bearer(&token).header("X-Forwarded-For", "9.9.9.9").header("X-Forwarded-Proto", "https"))
        .await;
    let seen = world.service.last().headers;
    assert_eq!(seen["x-forwarded-for"], "9.9.9.9, 127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "https");
    world.send(get("/-/live").header("X-Forwarded-For", "9.9.9.9")).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn an_answer_loses_what_is_between_hops_and_our_cookie() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let answer = world.send(get("/cars/cookies").cookie(&cookie)).await.expect(200);
    assert_eq!(answer.all("x-hop"), Vec::<&str>::new());
    let cookies = answer.all("set-cookie");
    assert!(cookies.contains(&"theirs=x") && !cookies.iter().any(|cookie| cookie.contains("stolen")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store", "it carries a session: no cache may keep it\n{answer:?}");
    let again = world.send(get("/cars/cookies").cookie(&answer.session_cookie().unwrap())).await.expect(200);
    assert_eq!(again.header("cache-control"), "public, max-age=600");
    let plain = world.send(get("/cars/1").cookie(&answer.session_cookie().unwrap())).await.expect(200);
    assert_eq!(plain.header("cache-control"), "private", "the request had no Authorization to tell caches");
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let world = World::start().await;
    let token = world.token("cars");
    let answer = world.send(get("/cars").bearer(&token).header("X-Request-Id", "abc.1")).await;
    assert_eq!(answer.header("x-request-id"), "abc.1");
    assert_eq!(world.service.last().headers["x-request-id"], "abc.1");
    for path in ["/cars", "/nowhere", "/login", "/session", "/-/live", "/auth/me"] {
        let answer = world.send(get(path).header("X-Request-Id", "not a sane one")).await;
        assert_eq!(answer.header("x-request-id").len(), 22, "{path}");
    }
}

#[tokio::test]
async fn what_a_verifier_says_of_a_bearer_token_is_answered_by_the_table() {
    let world = World::start().await;
    let mint = &world.authority.mint;
    let bearer = |token: String| get("/cars").bearer(&token);
    let invalid = "Bearer realm=\"cars\", error=\"invalid_token\"";
    for (token, slug, verdict) in [
        (mint.token("posts", 600), "invalid-token", "invalid"),
        (format!("{}x", mint.token("cars", 600)), "invalid-token", "invalid"),
        ("nonsense".to_owned(), "invalid-token", "invalid"),
        (mint.token("cars", -60), "token-expired", "expired"),
    ] {
        let answer = world.send(bearer(token)).await.expect_problem(401, slug);
        assert_eq!(
            (answer.header("propusk-verdict").as_str(), answer.header("www-authenticate").as_str()),
            (verdict, invalid)
        );
    }
    let elite = || get("/elite").bearer(&world.token("elite"));
    for (says, status, slug, verdict) in [
        (Some(CheckVerdict::Refused), 401, "token-revoked", "refused"),
        (Some(CheckVerdict::Stale), 401, "token-stale", "stale"),
        (None, 503, "cannot-tell", "unknown"),
    ] {
        world.check.says(says);
        let answer = world.send(elite()).await.expect_problem(status, slug);
        assert_eq!(answer.header("propusk-verdict"), verdict);
        assert_eq!(answer.header("retry-after").is_empty(), status != 503);
    }
    assert!(world.service.seen().is_empty(), "nothing of this was forwarded");
    world.check.says(good(&["cars:sell"]));
    let answer = world.send(get("/buy").bearer(&world.token("elite"))).await.expect_problem(403, "missing-permission");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"elite\", error=\"insufficient_scope\"");
    world.check.says(good(&["cars:buy"]));
    let answer = world.send(get("/buy").bearer(&world.token("elite"))).await.expect(200);
    assert!(answer.header("propusk-decision").starts_with("class=elite;by=online;seq=7;age-ms="), "{answer:?}");
}

#[tokio::test]
async fn exactly_one_credential() {
    let world = World::start().await;
    let answer = world.get("/cars").await.expect_problem(401, "no-credentials");
    assert_eq!(answer.all("www-authenticate"), ["Bearer realm=\"cars\"", "Basic realm=\"propusk\", charset=\"UTF-8\""]);
    assert_eq!(answer.header("propusk-verdict"), "none");
    let (cookie, token) = (world.sign_in().await, world.token("cars"));
    for request in [
        get("/cars").bearer(&token).cookie(&cookie),
        get("/cars").bearer(&token).bearer(&token),
        get("/cars").bearer(&token).header("Authorization", "Basic YWxpY2U6eA=="),
        get("/cars").cookie(&cookie).cookie(&cookie),
        get("/cars").header("Authorization", "Bearer"),
        get("/cars").header("Authorization", "Basic ???"),
    ] {
        let answer = world.send(request).await.expect_problem(400, "bad-request");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"cars\", error=\"invalid_request\"");
        assert_eq!(answer.header("propusk-verdict"), "invalid");
    }
    world.send(get("/cars").header("Authorization", "Negotiate abc")).await.expect_problem(401, "no-credentials");
    world.send(get("/cars?access_token=x")).await.expect_problem(401, "no-credentials");
    assert!(world.service.seen().is_empty());
}

#[tokio::test]
async fn of_the_authority_only_registration_is_reachable() {
    let world = World::with(|config| {
        let everything = propusk_gateway::Route::new("/**", config.routes[0].upstream.clone(), "cars");
        config.routes.push(everything);
    })
    .await;
    let token = world.token("cars");
    for path in [
        "/auth/login",
        "/auth/me",
        "/auth",
        "/oauth/token",
        "/admin/v1/users",
        "//auth/me",
        "/%61uth/me",
        "/-/",
        "/-/other",
        "//-/metrics",
        "/%2d/metrics",
        "/auth//register",
        "/auth/register/",
    ] {
        world.send(get(path).bearer(&token)).await.expect_problem(404, "not-found");
    }
    assert!(world.service.seen().is_empty());
    let body = json!({"username": "new"});
    let request = post("/auth/register").json(&body).header("X-User", "root").bearer(&token);
    let answer = world.send(request).await.expect(201);
    assert_eq!(answer.json()["body"], body.to_string());
    let seen = answer.json()["seen"].to_string();
    assert!(!seen.contains("x-user") && !seen.contains("authorization"), "{seen}");
    let answer = world.get("/auth/register").await.expect_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn paths_without_a_route_are_not_found() {
    let world = World::start().await;
    let token = world.token("cars");
    for path in ["/carsx", "/CARS", "/unknown", "*"] {
        let method = if path == "*" { "OPTIONS" } else { "GET" };
        world.send(req(method, path).bearer(&token)).await.expect_problem(404, "not-found");
    }
}
