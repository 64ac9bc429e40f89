//! A server that does nothing but send back: what connections and wake-ups cost by themselves.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where it listens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: String,
}

/// The child's side.
pub(crate) fn serve() -> Result<()> {
    super::serve_with(|(): (), ended| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        super::say_ready(&Ready { address: listener.local_addr()?.to_string() })?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let _ = ended.await;
        Ok(())
    })
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 64];
    loop {
        let count = stream.read(&mut buffer).await?;
        let Some(got) = buffer.get(..count).filter(|got| !got.is_empty()) else { return Ok(()) };
        stream.write_all(got).await?;
    }
}
