//! Bodies that stream, connections that are used again, and upstreams that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Client, get, post, soon};
use crate::world::World;

async fn chunk(client: &mut Client, bytes: &[u8]) {
    client.write(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
    client.write(bytes).await;
    client.write(b"\r\n").await;
}

#[tokio::test]
async fn bytes_pass_both_ways_before_either_side_has_ended() {
    let world = World::start().await;
    let mut client = Client::connect(world.gateway).await;
    let head = format!("POST /cars/mirror HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n", world.token("cars"));
    client.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
    chunk(&mut client, b"first").await;
    let answer = client.head().await.expect(200);
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    assert_eq!(client.chunk().await, b"first", "while the request goes on");
    for n in 0..20 {
        let piece = format!("piece {n}");
        chunk(&mut client, piece.as_bytes()).await;
        assert_eq!(client.chunk().await, piece.as_bytes());
    }
    client.write(b"0\r\n\r\n").await;
    assert_eq!(client.chunk().await, b"");
    // The connection goes on.
    client.send(&get("/cars").bearer(&world.token("cars"))).await;
    client.answer(false).await.expect(200);
}

#[tokio::test]
async fn a_body_may_be_larger_than_every_buffer() {
    const SIZE: usize = 8 * 1024 * 1024;
    let world = World::start().await;
    let body: Vec<u8> = (0..SIZE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let client = TcpStream::connect(world.gateway).await.unwrap();
    let (mut reading, mut writing) = client.into_split();
    let bytes = post("/cars/mirror").bearer(&world.token("cars")).body(&body).bytes("h");
    let sending = tokio::spawn(async move {
        writing.write_all(&bytes).await.unwrap();
        writing
    });
    let mut all = Vec::new();
    let reader = async {
        let mut piece = vec![0; 64 * 1024];
        let start = loop {
            if let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            all.push(reading.read_u8().await.unwrap());
        };
        while all.len() < start + SIZE {
            let n = reading.read(&mut piece).await.unwrap();
            assert!(n > 0, "the connection ended early");
            all.extend_from_slice(&piece[..n]);
        }
        start
    };
    let start = soon("the mirrored body", reader).await;
    drop(sending.await.unwrap());
    assert!(all[start..] == body[..], "the bytes are the same");
}

#[tokio::test]
async fn connections_to_a_service_are_used_again() {
    let world = World::start().await;
    let token = world.token("cars");
    for _ in 0..20 {
        world.send(get("/cars").bearer(&token)).await.expect(200);
        world.send(post("/cars").bearer(&token).body(b"abc")).await.expect(200);
    }
    assert_eq!(world.service_server.connections(), 1);
}

#[tokio::test]
async fn a_client_s_connection_is_used_again() {
    let world = World::start().await;
    let mut client = Client::connect(world.gateway).await;
    for _ in 0..5 {
        client.send(&get("/cars").bearer(&world.token("cars"))).await;
        client.answer(false).await.expect(200);
        client.send(&get("/cars")).await;
        client.answer(false).await.expect(401);
    }
}

#[tokio::test]
async fn a_service_that_is_away() {
    let mut world = World::start().await;
    world.service_server.stop().await;
    let answer =
        world.send(get("/cars").bearer(&world.token("cars"))).await.expect_problem(502, "upstream-unavailable");
    assert_ne!(answer.header("x-request-id"), "");
    let cookie = world.sign_in().await;
    let answer = world.send(get("/cars").cookie(&cookie)).await.expect_problem(502, "upstream-unavailable");
    assert!(answer.session_cookie().is_some(), "the refresh was not in vain");
}

#[tokio::test]
async fn a_service_that_is_too_slow() {
    let world = World::with(|config| config.timeouts.response_header = Duration::from_millis(100)).await;
    world.send(get("/cars/never").bearer(&world.token("cars"))).await.expect_problem(504, "upstream-timeout");
}

#[tokio::test]
async fn a_client_that_stops_sending() {
    let world = World::with(|config| config.timeouts.response_header = Duration::from_millis(100)).await;
    let mut client = Client::connect(world.gateway).await;
    let head = format!("POST /cars HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n", world.token("cars"));
    client.write(format!("{head}Content-Length: 10\r\n\r\nhalf").as_bytes()).await;
    client.answer(false).await.expect_problem(408, "request-timeout");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_client_that_never_completes_a_head_is_let_go() {
    let world = World::with(|config| config.timeouts.header_read = Duration::from_millis(100)).await;
    let mut client = Client::connect(world.gateway).await;
    client.write(b"GET /cars HTTP/1.1\r\nHost: h\r\n").await;
    assert!(client.is_closed().await);
}

/// A service that plays a script: for each connection, what to do after each request head.
async fn scripted(script: &'static [&'static [&'static str]]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::<AtomicUsize>::default();
    let counter = requests.clone();
    tokio::spawn(async move {
        for answers in script {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in *answers {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                if head.is_empty() {
                    break;
                }
                counter.fetch_add(1, Ordering::Relaxed);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (url, requests)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn behind(script: &'static [&'static [&'static str]]) -> (World, Arc<AtomicUsize>) {
    let (url, requests) = scripted(script).await;
    let world = World::with(|config| config.routes[0].upstream = url).await;
    (world, requests)
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_replaced() {
    let (world, requests) = behind(&[&[OK], &[OK], &[OK]]).await;
    let token = world.token("cars");
    for method in ["GET", "POST", "DELETE"] {
        world.send(crate::http::req(method, "/cars").bearer(&token)).await.expect(200);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_request_that_the_service_may_have_read_is_not_sent_again() {
    // The second request is read on the kept connection, and the connection ends without an answer.
    let (world, requests) = behind(&[&[OK, ""], &[OK]]).await;
    let token = world.token("cars");
    world.send(get("/cars").bearer(&token)).await.expect(200);
    world.send(post("/cars").bearer(&token).body(b"pay")).await.expect_problem(502, "upstream-unavailable");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    world.send(get("/cars").bearer(&token)).await.expect(200);
}

#[tokio::test]
async fn a_service_may_answer_before_it_has_read_everything() {
    let world = World::start().await;
    let request = post("/cars/refuse").bearer(&world.token("cars")).body(&vec![0; 4 * 1024 * 1024]);
    for _ in 0..20 {
        let stream = TcpStream::connect(world.gateway).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let bytes = request.bytes("h");
        let sending = tokio::spawn(async move {
            // The connection is closed on it; what matters is what is heard.
            let _ = writing.write_all(&bytes).await;
        });
        let mut heard = Vec::new();
        let _ = soon("the answer", reading.read_to_end(&mut heard)).await;
        assert!(heard.starts_with(b"HTTP/1.1 413 "), "{:?}", String::from_utf8_lossy(&heard));
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let (world, _) = behind(&[
        &["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
        &["nonsense\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
    ])
    .await;
    for _ in 0..3 {
        world.send(get("/cars").bearer(&world.token("cars"))).await.expect_problem(502, "upstream-unavailable");
    }
}

#[tokio::test]
async fn an_answer_with_two_lengths_has_one_for_the_client() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (world, _) = behind(Box::leak(Box::new([Box::leak(Box::new([both])) as &[_]]))).await;
    let answer = world.send(get("/cars").bearer(&world.token("cars"))).await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("content-length").as_str()), ("ok", ""));
}

#[tokio::test]
async fn when_the_client_goes_the_service_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let world = World::with(|config| config.routes[0].upstream = url).await;
    let mut client = Client::connect(world.gateway).await;
    client.send(&get("/cars/events").bearer(&world.token("cars"))).await;
    let (mut service, _) = soon("the request", listener.accept()).await.unwrap();
    service.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n").await.unwrap();
    client.head().await.expect(200);
    assert_eq!(client.chunk().await, b"event");
    drop(client);
    let mut rest = Vec::new();
    soon("the end", service.read_to_end(&mut rest)).await.ok();
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_whole() {
    let world = World::start().await;
    for framing in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = Client::connect(world.gateway).await;
        let head = format!("POST /cars HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n", world.token("cars"));
        client.write(format!("{head}{framing}").as_bytes()).await;
        let before = world.service.bodies().len();
        world.until("the request", |world| world.service.seen().len() > before).await;
        drop(client);
        world.until("its end", |world| world.service.bodies().len() > before).await;
        assert!(world.service.bodies().iter().all(Result::is_err), "{:?}", world.service.bodies());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let (world, _) = behind(&[&["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"]]).await;
    let mut client = Client::connect(world.gateway).await;
    client.send(&get("/cars").bearer(&world.token("cars"))).await;
    assert_eq!(client.head().await.expect(200).header("content-length"), "10");
    assert_eq!(client.exactly(4).await, b"half");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn head_answers_have_a_length_and_no_body() {
    let (world, _) = behind(&[&["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", OK]]).await;
    let mut client = Client::connect(world.gateway).await;
    client.send(&crate::http::req("HEAD", "/cars").bearer(&world.token("cars"))).await;
    assert_eq!(client.answer(true).await.expect(200).header("content-length"), "10");
    client.send(&get("/cars").bearer(&world.token("cars"))).await;
    assert_eq!(client.answer(false).await.expect(200).text(), "ok");
}
