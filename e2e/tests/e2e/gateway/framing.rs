//! Requests that two servers could read differently: 400, and the connection is closed.

use std::time::Duration;

use e2e::raw::{Reply, exchange};
use e2e::run;
use e2e::system::System;

use crate::shared::PLAIN;

const SILENCE: Duration = Duration::from_secs(5);

async fn send(system: &System, text: &str) -> Reply {
    exchange(&system.ready.gateway, text.as_bytes(), SILENCE).await
}

#[test]
fn ambiguous_framing_is_refused_and_the_connection_closed() {
    run(async {
        let system = &*PLAIN;
        let smuggled = "GET /users/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
        let length = smuggled.len();
        let cases = [
            ("length and chunked", format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n")),
            ("chunked and length", format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n")),
            ("two lengths", format!("content-length: 0\r\ncontent-length: {length}\r\n")),
            ("a list of lengths", format!("content-length: 0, {length}\r\n")),
            ("a signed length", format!("content-length: +{length}\r\n")),
            ("a length in hexadecimal", "content-length: 0x10\r\n".to_owned()),
            ("a negative length", "content-length: -1\r\n".to_owned()),
            ("an empty length", "content-length: \r\n".to_owned()),
            ("another coding", "transfer-encoding: gzip\r\n".to_owned()),
            ("chunked twice", "transfer-encoding: chunked, chunked\r\n".to_owned()),
            ("chunked not last", "transfer-encoding: chunked, identity\r\n".to_owned()),
            ("something like chunked", "transfer-encoding: xchunked\r\n".to_owned()),
            ("chunked after a vertical tab", "transfer-encoding: \x0bchunked\r\n".to_owned()),
            ("a space before the colon", format!("content-length : {length}\r\n")),
            ("a folded line", format!("x-a: b\r\n content-length: {length}\r\n")),
            ("a bare CR", format!("x-a: b\rcontent-length: {length}\r\n")),
            ("a NUL", "x-a: b\0c\r\n".to_owned()),
            ("two hosts", "host: b\r\n".to_owned()),
        ];
        for (what, header) in cases {
            let text = format!("POST /users/x HTTP/1.1\r\nhost: a\r\n{header}\r\n{smuggled}");
            let reply = send(system, &text).await;
            assert_eq!(reply.status(), 400, "{what}: {}", reply.text);
            assert_eq!(reply.answers(), 1, "{what}: the rest was taken for a request: {}", reply.text);
            assert!(reply.closed, "{what}: the connection stays open");
        }
    });
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("chunks").await;
        let token = system.login(&person, "posts").await.access;
        let head = format!(
            "POST /posts HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        let next = "GET /users/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
        for (what, body) in [
            ("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
            ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
            ("no size", "\r\nhello\r\n0\r\n\r\n"),
            ("a size that overflows", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
            ("a bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
            ("nothing after the chunk", "5\r\nhello0\r\n\r\n"),
            ("more than the size", "5\r\nhellohello\r\n0\r\n\r\n"),
            ("a bare LF in an extension", "5;a=\nb\r\nhello\r\n0\r\n\r\n"),
        ] {
            let reply = send(system, &format!("{head}{body}{next}")).await;
            assert!(!reply.text.contains(" 201 ") && !reply.text.contains(" 200 "), "{what}: {}", reply.text);
            assert!(reply.answers() <= 1, "{what}: the rest was taken for a request: {}", reply.text);
            assert!(reply.closed, "{what}: the connection stays open");
        }
        let head = head.replace("host: a\r\n", "host: a\r\nconnection: close\r\n");
        let good = format!("{head}15\r\n{{\"content\":\"chunked\"}}\r\n0\r\n\r\n");
        let reply = send(system, &good).await;
        assert_eq!(reply.status(), 201, "{}", reply.text);
    });
}

#[test]
fn paths_that_a_service_could_tidy_up_into_another_are_refused() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("paths").await;
        let token = system.login(&person, "posts").await.access;
        for path in [
            "/posts/../cars",
            "/posts/./x",
            "/posts/%2e%2e/cars",
            "/posts/%2E%2E%2Fcars",
            "/posts/..%5ccars",
            "/posts/..\\cars",
            "/posts/%252e%252e/cars",
            "/posts/..;/cars",
            "/posts/%00",
        ] {
            let text =
                format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
            let reply = send(system, &text).await;
            assert!(matches!(reply.status(), 400 | 404), "{path}: {}", reply.text);
        }
        for target in ["posts", "*", "//evil.example/posts", "http://evil.example/admin/v1/users"] {
            let text = format!(
                "GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            let reply = send(system, &text).await;
            assert!(matches!(reply.status(), 400 | 404), "{target}: {}", reply.text);
        }
    });
}

#[test]
fn heads_without_end_are_cut_off() {
    run(async {
        let system = &*PLAIN;
        let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
        let reply = send(system, &format!("GET /users HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await;
        assert_eq!(reply.status(), 431, "{}", reply.text);
        let long = format!("GET /users HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "a".repeat(200_000));
        let reply = send(system, &long).await;
        assert_eq!(reply.status(), 431, "{}", reply.text);
        let target = format!("GET /users/{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(20_000));
        let reply = send(system, &target).await;
        assert!(matches!(reply.status(), 414 | 431), "{}", reply.text);
        system.http.get(&system.gateway("/-/live")).send().await.expect(200);
    });
}
