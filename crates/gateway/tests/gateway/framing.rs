//! What could be read in two ways is refused, and nothing that follows it is read at all.

use crate::http::{Client, get, post};
use crate::world::World;

/// Refused with a problem document, an id, and the end of the connection; the service hears nothing.
async fn refused(world: &World, bytes: &[u8], status: u16, slug: &str) {
    let mut client = Client::connect(world.gateway).await;
    client.write(bytes).await;
    let answer = client.answer(false).await;
    let shown = String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(answer.status, status, "{shown:?}\n{answer:?}");
    let answer = answer.expect_problem(status, slug);
    assert_ne!(answer.header("x-request-id"), "", "{shown:?}");
    assert!(client.is_closed().await, "{shown:?}");
    assert!(world.service.seen().is_empty(), "{shown:?}");
}

#[tokio::test]
async fn ambiguous_heads_are_refused() {
    let world = World::start().await;
    let token = world.token("cars");
    for extra in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5a\r\n",
        "Content_Length: 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: a\rb\r\n",
        "Host: other\r\n",
        "no colon\r\n",
    ] {
        let head = format!("POST /cars HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n{extra}\r\nhello");
        refused(&world, head.as_bytes(), 400, "bad-request").await;
    }
    for head in
        ["GET /cars\r\n\r\n", "GET  /cars HTTP/1.1\r\nHost: h\r\n\r\n", "GET /cars HTTP/1.1\r\n\r\n", "\0\r\n\r\n"]
    {
        refused(&world, head.as_bytes(), 400, "bad-request").await;
    }
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_refused_request() {
    let world = World::start().await;
    let token = world.token("cars");
    let first = format!("GET /cars/1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
    let second = format!(
        "POST /cars/2 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let third = format!("GET /cars/3 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut client = Client::connect(world.gateway).await;
    client.write([first, second, third].concat().as_bytes()).await;
    client.answer(false).await.expect(200);
    client.answer(false).await.expect_problem(400, "bad-request");
    assert!(client.is_closed().await);
    let seen: Vec<String> = world.service.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, ["/cars/1"]);
}

#[tokio::test]
async fn a_broken_chunk_is_refused_and_never_ends_a_request_upstream() {
    let world = World::start().await;
    let token = world.token("cars");
    for chunk in
        ["5\r\nhello!\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n"]
    {
        let mut client = Client::connect(world.gateway).await;
        let head = format!("POST /cars/upload HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n");
        client.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}").as_bytes()).await;
        client.answer(false).await.expect_problem(400, "bad-request");
        assert!(client.is_closed().await, "{chunk:?}");
    }
    assert!(world.service.bodies().iter().all(Result::is_err), "{:?}", world.service.bodies());
}

#[tokio::test]
async fn heads_have_limits() {
    let world = World::start().await;
    let target = "a".repeat(9_000);
    refused(&world, format!("GET /{target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(), 414, "target-too-long").await;
    let lines = "X: y\r\n".repeat(200);
    refused(&world, format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes(), 431, "head-too-large").await;
    let line = "y".repeat(40_000);
    refused(&world, format!("GET / HTTP/1.1\r\nHost: h\r\nX: {line}\r\n\r\n").as_bytes(), 431, "head-too-large").await;
    refused(&world, b"TRACE /cars HTTP/1.1\r\nHost: h\r\n\r\n", 405, "method-not-allowed").await;
    refused(&world, b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405, "method-not-allowed").await;
}

#[tokio::test]
async fn a_target_has_one_meaning() {
    let world = World::start().await;
    let token = world.token("cars");
    for path in
        ["/cars/../users", "/cars/%2e%2e/users", "/cars/..%2fusers", "/cars/..;/users", "/cars/%5c..", "/cars/%00"]
    {
        world.send(get(path).bearer(&token)).await.expect_problem(400, "bad-request");
    }
    world.send(get("http://h/cars/1").header("Host", "other").bearer(&token)).await.expect_problem(400, "bad-request");
    world.send(get("http://h/cars/1?q=2").header("Host", "h").bearer(&token)).await.expect(200);
    assert_eq!(world.service.last().target, "/cars/1?q=2");
    assert_eq!(world.service.seen().len(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start().await;
    let token = world.token("cars");
    let mut client = Client::connect(world.gateway).await;
    let requests = [
        post("/cars/a").bearer(&token).body(b"12345"),
        get("/cars/b").bearer(&token),
        post("/cars/c").bearer(&token).body(b"123"),
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes("h")).collect();
    client.write(&bytes).await;
    for expected in ["5 bytes", "0 bytes", "3 bytes"] {
        assert_eq!(client.answer(false).await.expect(200).text(), expected);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let world = World::start().await;
    let token = world.token("cars");
    let mut client = Client::connect(world.gateway).await;
    let head = format!(
        "POST /cars/upload HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    assert_eq!(client.exactly(25).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write(b"hello").await;
    assert_eq!(client.answer(false).await.expect(200).text(), "5 bytes");
    assert!(world.service.last().headers.get("expect").is_none());
}
