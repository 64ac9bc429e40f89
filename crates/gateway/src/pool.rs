//! Connections to upstreams: HTTP/1.1, kept alive, last used first, with few kept idle.
//!
//! A request is sent a second time only if the engine hands it back whole, which it does when not a byte of it was
//! written (the kept connection had just been closed by the other side). Everything else is the client's to repeat.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::Service;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use propusk_verify::tls::{self, TlsError};
use tokio::time::Instant as TokioInstant;
use url::Url;

use crate::body::{Progress, RequestBody};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Nobody there.
    #[error("cannot connect: {0}")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody took the connection in time.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// It did not begin to answer in time.
    #[error("no answer in time")]
    AnswerTimeout,
    /// The client did not send the rest of its body in time.
    #[error("the client stopped sending")]
    ClientStalled,
    /// The connection broke.
    #[error("{0}")]
    Broken(#[source] hyper::Error),
}

/// How long the steps of a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendTimeouts {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
}

/// Opens connections, with TLS for `https`.
pub(crate) type Connector = TowerToHyperService<HttpsConnector<HttpConnector>>;

/// One upstream server with its idle connections.
pub(crate) struct Upstream {
    uri: Uri,
    host: String,
    connector: Connector,
    idle: Mutex<Vec<Idle>>,
    idle_most: usize,
    idle_timeout: Duration,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

impl Upstream {
    /// For scheme, host and port of `url`.
    pub(crate) fn new(
        url: &Url,
        connector: Connector,
        idle_most: usize,
        idle_timeout: Duration,
    ) -> Result<Arc<Self>, http::uri::InvalidUri> {
        let uri: Uri = url.as_str().parse()?;
        let host = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        Ok(Arc::new(Self { uri, host, connector, idle: Mutex::default(), idle_most, idle_timeout }))
    }

    /// For the `Host` header.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends `request`, whose URI is in origin form, and waits for the head of the answer.
    ///
    /// # Errors
    /// [`SendError`]; unless it is one of connecting, the upstream may have acted on the request.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        timeouts: SendTimeouts,
        progress: Option<&Progress>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        loop {
            let (mut sender, is_fresh) = match self.take_idle() {
                Some(sender) => (sender, false),
                None => (self.connect(timeouts.connect).await?, true),
            };
            let answer = sender.try_send_request(request);
            match wait(answer, timeouts.answer, progress).await? {
                Ok(answer) => return Ok((answer, Lease { sender, upstream: self.clone() })),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !is_fresh => request = unsent,
                    _ => return Err(SendError::Broken(failed.into_error())),
                },
            }
        }
    }

    fn take_idle(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.lock();
        while let Some(Idle { sender, since }) = idle.pop() {
            if sender.is_ready() && since.elapsed() < self.idle_timeout {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(&self, limit: Duration) -> Result<SendRequest<RequestBody>, SendError> {
        let connecting = async {
            let stream = self.connector.call(self.uri.clone()).await?;
            let (sender, connection) =
                http1::Builder::new().handshake(ReadOn { inner: stream, is_broken: false }).await?;
            tokio::spawn(async move {
                // The request that was on it hears of the error; an idle connection that ends is no error.
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "upstream connection");
                }
            });
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sender)
        };
        match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => Err(SendError::Connect(error)),
            Err(_) => Err(SendError::ConnectTimeout),
        }
    }

    /// Closes connections that nobody used for long.
    pub(crate) fn sweep(&self) {
        let stale = {
            let mut idle = self.idle.lock();
            let (kept, stale): (Vec<_>, Vec<_>) = std::mem::take(&mut *idle)
                .into_iter()
                .partition(|idle| idle.sender.is_ready() && idle.since.elapsed() < self.idle_timeout);
            *idle = kept;
            stale
        };
        drop(stale);
    }

    fn put_idle(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_most {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// A connection on which a failed write is not the end: an upstream that has read enough of a request may answer and
/// close, and that answer is to be read. If there is none, reading fails too, and says so.
struct ReadOn<T> {
    inner: T,
    is_broken: bool,
}

impl<T: Read + Unpin> Read for ReadOn<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> ReadOn<T> {
    /// After a failure nothing is written any more; what is read wakes the connection.
    fn write<R>(&mut self, write: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if self.is_broken {
            return Poll::Pending;
        }
        let polled = write(Pin::new(&mut self.inner));
        if matches!(polled, Poll::Ready(Err(_))) {
            self.is_broken = true;
            return Poll::Pending;
        }
        polled
    }
}

impl<T: Write + Unpin> Write for ReadOn<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(|inner| inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|inner| inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|inner| inner.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Waits for an answer. While a body is being sent the clock starts anew whenever it moves.
async fn wait<T>(
    answer: impl Future<Output = T>,
    limit: Duration,
    progress: Option<&Progress>,
) -> Result<T, SendError> {
    let start = Instant::now();
    tokio::pin!(answer);
    loop {
        let moved = progress.map_or(start, |progress| progress.last().max(start));
        match tokio::time::timeout_at(TokioInstant::from_std(moved + limit), &mut answer).await {
            Ok(answer) => return Ok(answer),
            Err(_) if progress.is_some_and(|progress| progress.last() > moved) => {}
            Err(_) if progress.is_some_and(Progress::is_client_late) => return Err(SendError::ClientStalled),
            Err(_) => return Err(SendError::AnswerTimeout),
        }
    }
}

/// A connection in use; dropped, it is closed.
pub(crate) struct Lease {
    sender: SendRequest<RequestBody>,
    upstream: Arc<Upstream>,
}

impl Lease {
    /// The answer was read to its end, so the connection can serve another request.
    pub(crate) fn give_back(self) {
        /// An upstream that answered before it had read the whole request may never become ready.
        const READY_WITHIN: Duration = Duration::from_secs(1);
        let Self { mut sender, upstream } = self;
        if sender.is_ready() {
            upstream.put_idle(sender);
        } else if !sender.is_closed()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, sender.ready()).await {
                    upstream.put_idle(sender);
                }
            });
        }
    }
}

/// One for all upstreams.
pub(crate) fn connector(needs_tls: bool, roots_pem: Option<&str>) -> Result<Connector, TlsError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // The machine's trusted roots cost time and memory to load: only who needs them pays.
    let tls = if needs_tls { tls::client_config(roots_pem)? } else { tls::trusting_nobody() };
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    Ok(TowerToHyperService::new(builder.https_or_http().enable_http1().wrap_connector(tcp)))
}
