//! Bytes on a socket, for requests that no HTTP library would send.

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

/// Host and port of a base address.
pub fn address_of(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}
