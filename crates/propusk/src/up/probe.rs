//! Asking a part whether it is ready: one small request on a connection of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One probe may take this long.
const ONE: Duration = Duration::from_secs(2);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(5);
/// No answer that we read is longer.
const MAX_ANSWER: u64 = 16 * 1024;

/// Waits until the part at `address` says that it is ready; after `limit`, the error has its last answer.
pub(super) async fn until_ready(part: &str, address: SocketAddr, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        let answer = tokio::time::timeout(ONE, ask(address)).await;
        let last = match answer {
            Ok(Ok(text)) if is_ok(&text) => return Ok(()),
            Ok(Ok(text)) => text.rsplit("\r\n\r\n").next().unwrap_or_default().trim().to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= end {
            bail!("{part} is not ready after {} s: {last}", limit.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_ok(answer: &str) -> bool {
    answer.split(' ').nth(1) == Some("200")
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
