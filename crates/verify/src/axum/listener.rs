//! Where connections come from: a socket, in the clear or by TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::tls::Certificate;

/// A client that has not finished its handshake by then is let go.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// So many are in their handshakes at a time; whoever comes then waits in the socket's queue.
const HANDSHAKES: usize = 1024;
/// How long a failing `accept` is left alone; it fails when files run out, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket on which connections are accepted, in the clear or by TLS.
pub struct Listener {
    tcp: TcpListener,
    certificate: Option<Certificate>,
}

impl Listener {
    /// TLS if there is a certificate to show, else in the clear.
    pub fn new(tcp: TcpListener, certificate: Option<Certificate>) -> Self {
        Self { tcp, certificate }
    }

    /// Whether what is sent can be read by nobody on the way.
    pub fn is_tls(&self) -> bool {
        self.certificate.is_some()
    }

    /// The socket's address.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Begins to accept clients who speak these protocols, the first preferred.
    pub(super) fn accepting(self, protocols: &[&str]) -> Accepting {
        let tls = self.certificate.map(|certificate| TlsAcceptor::from(certificate.server_config(protocols)));
        Accepting { tcp: self.tcp, tls, handshakes: JoinSet::new() }
    }
}

impl From<TcpListener> for Listener {
    /// In the clear.
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp, None)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.tcp.local_addr().ok()).field("tls", &self.is_tls()).finish()
    }
}

/// A listener at work. Handshakes run beside each other: a slow one, or one that fails, holds nobody else up.
pub(super) struct Accepting {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    handshakes: JoinSet<Option<(Connection, SocketAddr)>>,
}

impl Accepting {
    /// The next client that is ready to speak. What fails on the way is logged and passed over. May be dropped and
    /// called again; nobody is lost.
    pub(super) async fn next(&mut self) -> (Connection, SocketAddr) {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES;
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = done {
                        return accepted;
                    }
                }
                accepted = self.tcp.accept(), if has_room => match accepted {
                    Ok((tcp, peer)) => {
                        let _ = tcp.set_nodelay(true);
                        match &self.tls {
                            None => return (Connection::new(tcp), peer),
                            Some(tls) => drop(self.handshakes.spawn(handshake(tls.clone(), tcp, peer))),
                        }
                    }
                    Err(error) => pause(&error).await,
                },
            }
        }
    }
}

/// A client that gave up before it was accepted is no fault; for everything else there is a pause.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        tracing::warn!(%error, "accept");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn handshake(tls: TlsAcceptor, tcp: TcpStream, peer: SocketAddr) -> Option<(Connection, SocketAddr)> {
    match tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
        Ok(Ok(stream)) => Some((Connection::new(stream), peer)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "TLS handshake");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "TLS handshake took too long");
            None
        }
    }
}

/// A client's connection.
pub(super) struct Connection {
    io: Box<dyn Io>,
    heard: Arc<Heard>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How much a client has said, up to what tells the versions of HTTP apart.
#[derive(Default)]
pub(super) struct Heard(AtomicUsize);

impl Heard {
    /// The connection preface of HTTP/2 (RFC 9113 section 3.4).
    const ENOUGH: usize = 24;

    /// Whether it is that much.
    pub(super) fn is_enough(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::ENOUGH
    }

    fn count(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

impl Connection {
    fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), heard: Arc::default() }
    }

    /// What the client will have said.
    pub(super) fn heard(&self) -> Arc<Heard> {
        Arc::clone(&self.heard)
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if !self.heard.is_enough() {
            self.heard.count(buf.filled().len().saturating_sub(before));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
