//! Operations, starting and stopping.

use std::time::{Duration, Instant};

use propusk_gateway::{GatewayConfig, Route, StartError, serve, serve_with};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Client, get, post, req, soon};
use crate::world::World;

#[tokio::test]
async fn operations() {
    let world = World::start().await;
    assert_eq!(world.get("/-/live").await.expect(200).header("cache-control"), "no-store");
    let ready = world.get("/-/ready").await.expect(200);
    assert_eq!(ready.json()["checks"]["feed"], "ok");
    world.send(get("/cars/1").bearer(&world.token("cars"))).await.expect(200);
    world.get("/cars/2").await.expect(401);
    world.send(req("MADE-UP", "/nowhere/at/all")).await.expect(404);
    let metrics = world.get("/-/metrics").await.expect(200);
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "propusk_http_requests_total{route=\"/cars/**\",method=\"GET\",status=\"200\"} 1",
        "propusk_http_requests_total{route=\"/cars/**\",method=\"GET\",status=\"401\"} 1",
        "propusk_http_requests_total{route=\"none\",method=\"other\",status=\"404\"} 1",
        "propusk_gateway_decisions_total{audience=\"cars\",verdict=\"accepted\"} 1",
    ] {
        assert!(metrics.text().contains(line), "{line}\n{}", metrics.text());
    }
    world.send(post("/-/live")).await.expect_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn operations_are_not_for_those_behind_a_proxy() {
    let world = World::start().await;
    for (name, value) in [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=9.9.9.9")] {
        world.send(get("/-/metrics").header(name, value)).await.expect_problem(404, "not-found");
    }
    let open = World::with(|config| config.ops_anywhere = true).await;
    open.send(get("/-/live").header("X-Forwarded-For", "9.9.9.9")).await.expect(200);
}

#[tokio::test]
async fn what_is_being_answered_is_answered_before_the_end() {
    let mut world = World::start().await;
    let mut idle = Client::connect(world.gateway).await;
    idle.send(&get("/-/live")).await;
    idle.answer(false).await.expect(200);
    let mut busy = Client::connect(world.gateway).await;
    let head = format!("POST /cars/mirror HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n", world.token("cars"));
    busy.write(format!("{head}Content-Length: 10\r\n\r\nhello").as_bytes()).await;
    busy.head().await.expect(200);
    world.stop();
    assert!(idle.is_closed().await, "nothing to wait for");
    busy.write(b"world").await;
    let mut body = Vec::new();
    while body.len() < 10 {
        body.extend(busy.exactly(1).await);
    }
    assert_eq!(body, b"helloworld");
    world.stopped().await;
    assert!(TcpStream::connect(world.gateway).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn what_never_ends_is_cut_off() {
    let mut world = World::with(|config| config.timeouts.drain = Duration::from_millis(100)).await;
    let mut hanging = Client::connect(world.gateway).await;
    hanging.send(&get("/cars/never").bearer(&world.token("cars"))).await;
    world.until("the request", |world| !world.service.seen().is_empty()).await;
    let started = Instant::now();
    world.stop();
    world.stopped().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(hanging.is_closed().await);
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let world = World::with(|config| config.limits.connections = 2).await;
    let (first, second) = (Client::connect(world.gateway).await, Client::connect(world.gateway).await);
    let mut third = Client::connect(world.gateway).await;
    third.send(&get("/-/live")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), third.stream.readable()).await;
    assert!(early.is_err(), "it was served beyond the limit");
    drop(first);
    third.answer(false).await.expect(200);
    drop(second);
}

#[tokio::test]
async fn without_a_word_from_the_authority_it_is_alive_but_not_ready_and_cannot_tell() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = listener.local_addr().unwrap();
    // Nobody listens there, and nobody can: the port is taken by one who never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = GatewayConfig { feed: format!("http://{}", silent.local_addr().unwrap()), ..world.config() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, config, async { stopped.await.unwrap_or_default() }));
    get("/-/live").send(gateway).await.expect(200);
    let ready = get("/-/ready").send(gateway).await.expect(503);
    assert_ne!(ready.json()["checks"]["feed"], "ok");
    for request in [get("/cars").bearer(&world.token("cars")), get("/cars").cookie(&cookie)] {
        let answer = request.send(gateway).await.expect_problem(503, "cannot-tell");
        assert_eq!((answer.session_cookie(), answer.header("propusk-verdict").as_str()), (None, "unknown"));
        assert_ne!(answer.header("retry-after"), "");
    }
    get("/-/metrics").send(gateway).await.expect(200);
    let started = Instant::now();
    drop(stop);
    soon("the end", served).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn all_errors_of_a_configuration_are_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let key = zeroize::Zeroizing::new([7; 32]);
    let mut config = GatewayConfig::new("i", "no url", "f", "gateway", "psk_secret", key);
    config.public_origin = Some("example.com".to_owned());
    config.routes = vec![Route::new("/auth/**", "http://127.0.0.1:1", "a"), Route::new("/x", "ftp://x", "a")];
    let error = serve_with(listener, config, &[], async {}).await.unwrap_err();
    let StartError::Config(errors) = &error else { panic!("{error}") };
    let keys: Vec<&str> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["public_origin", "authority", "routes[0].audience", "routes[1].audience"], "{error}");
    assert!(!error.to_string().contains("psk_secret"));
}
