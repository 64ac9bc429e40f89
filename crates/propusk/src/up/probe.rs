//! Asking a part whether it is ready: one small request on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use propusk_verify::tls::TlsError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::Tls;

/// One probe may take this long.
const ONE: Duration = Duration::from_secs(2);
/// Between the first two probes; then half as long again each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// No answer that we read is longer.
const MAX_ANSWER: u64 = 16 * 1024;

/// Asks as the parts ask each other: by TLS where they speak it, trusting whom they trust.
pub(super) struct Probe {
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("tls", &self.tls.is_some()).finish()
    }
}

impl Probe {
    /// Of a system with these certificates.
    pub(super) fn new(tls: &Tls) -> Result<Self, TlsError> {
        if tls.certificate.is_none() {
            return Ok(Self { tls: None });
        }
        let config = propusk_verify::tls::client_config(tls.roots_pem.as_deref())?;
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Waits until the part at `address` says that it is ready; after `limit`, the error has its last answer.
    pub(super) async fn until_ready(&self, part: &str, address: SocketAddr, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        let mut pause = SHORTEST_PAUSE;
        loop {
            let answer = tokio::time::timeout(ONE, self.ask(address)).await;
            let last = match answer {
                Ok(Ok(text)) if is_ok(&text) => return Ok(()),
                Ok(Ok(text)) => text.rsplit("\r\n\r\n").next().unwrap_or_default().trim().to_owned(),
                // It would be the same the next time, and between the parts.
                Ok(Err(error)) if is_distrust(&error) => bail!(
                    "the parts do not trust each other at https://{address}: {error}. The certificate in tls.cert has to be valid for {}, and tls.ca to hold the certificate that signed it",
                    address.ip()
                ),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() >= end {
                bail!("{part} is not ready after {} s: {last}", limit.as_secs());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&self, address: SocketAddr) -> io::Result<String> {
        let stream = TcpStream::connect(address).await?;
        match &self.tls {
            None => ask_on(stream, address).await,
            Some(tls) => ask_on(tls.connect(ServerName::from(address.ip()), stream).await?, address).await,
        }
    }
}

/// Whether a connection failed because of the certificate that was shown.
fn is_distrust(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

fn is_ok(answer: &str) -> bool {
    answer.split(' ').nth(1) == Some("200")
}

async fn ask_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: SocketAddr) -> io::Result<String> {
    let request = format!("GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
