//! Connections to upstreams: HTTP/1.1, kept alive, last used first, with few kept idle.
//!
//! A request is sent a second time only if the engine hands it back whole, which it does when not a byte of it was
//! written (the kept connection had just been closed by the other side). Everything else is the client's to repeat.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::service::Service;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
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
            let (sender, connection) = http1::Builder::new().handshake(stream).await?;
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
pub(crate) fn connector(needs_tls: bool) -> io::Result<Connector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let builder = hyper_rustls::HttpsConnectorBuilder::new();
    // The machine's trusted roots cost time and memory to load: only who needs them pays.
    let builder = if needs_tls {
        builder.with_provider_and_platform_verifier(provider)?
    } else {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(config)
    };
    Ok(TowerToHyperService::new(builder.https_or_http().enable_http1().wrap_connector(tcp)))
}
