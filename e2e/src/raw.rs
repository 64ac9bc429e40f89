//! Bytes on a socket, for requests that no HTTP library would send, and ports to listen on.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// All that came back, and whether the other side then closed the connection.
#[derive(Debug)]
pub struct Reply {
    /// The answer, or answers, as text.
    pub text: String,
    /// Whether the connection was closed.
    pub closed: bool,
}

impl Reply {
    /// The status of the first answer; 0 if there is none.
    pub fn status(&self) -> u16 {
        self.text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// How many answers came.
    pub fn answers(&self) -> usize {
        self.text.matches("HTTP/1.1 ").count()
    }
}

/// Sends `bytes` to the server behind `base` (`http://host:port`) and reads until it closes, or says nothing for
/// `silence`.
pub async fn exchange(base: &str, bytes: &[u8], silence: Duration) -> Reply {
    let address = address_of(base);
    let mut stream = TcpStream::connect(&address).await.unwrap_or_else(|error| panic!("connect {address}: {error}"));
    // A server that has already refused may close while it is still being written to.
    let _ = stream.write_all(bytes).await;
    let mut text = Vec::new();
    let mut buffer = vec![0; 16_384];
    let closed = loop {
        match tokio::time::timeout(silence, stream.read(&mut buffer)).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(length)) => text.extend_from_slice(&buffer[..length]),
        }
    };
    Reply { text: String::from_utf8_lossy(&text).into_owned(), closed }
}

/// A listener on a free port of the loopback interface, below the range that systems take for outgoing connections: who
/// closes it and listens there again later finds the port free.
pub fn listener() -> std::net::TcpListener {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 10_000;
    for _ in 0..1_000 {
        let mut bits = [0; 2];
        aws_lc_rs::rand::fill(&mut bits).expect("randomness");
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", FIRST + u16::from_ne_bytes(bits) % COUNT)) {
            return listener;
        }
    }
    panic!("no free port from {FIRST} on")
}

/// Host and port of a base address.
pub fn address_of(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}
