//! A server for a router: accepts on a [`Listener`], keeps slow and silent clients from staying, and when it is told to
//! stop, answers what it has begun within a limit.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::listener::{Connection, Heard, Listener};

/// What is being answered at a stop has this long; then it is cut off. It leaves time for saying good-bye to the
/// authority, all in all less than the five seconds in which a process should end.
pub const DRAIN: Duration = Duration::from_millis(2500);

/// A client of HTTP/1.1 that has not sent the head of its next request by then is let go, and any client that never
/// began. It is longer than clients usually keep a connection for later: they close it first.
const SILENCE: Duration = Duration::from_secs(75);
/// So many connections at a time; whoever comes then waits in the socket's queue.
const CONNECTIONS: usize = 10_000;
/// Of one HTTP/2 connection.
const STREAMS: u32 = 256;
/// Requests that a client began and took back at once, before it is taken for an attacker (CVE-2023-44487).
const RESET_STREAMS: usize = 64;
/// An HTTP/2 client that is gone without a word is noticed after twice this.
const PING: Duration = Duration::from_secs(5);

/// Serves a router until `shutdown`, and then for at most [`DRAIN`]. Each request has the client's address in
/// `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: impl Into<Listener>, router: Router, shutdown: impl Future<Output = ()> + Send) {
    Server::on(listener).run(router, shutdown).await;
}

/// A server that is about to run.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    drain: Duration,
    http2_only: bool,
}

impl Server {
    /// Speaks HTTP/1.1 and HTTP/2.
    pub fn on(listener: impl Into<Listener>) -> Self {
        Self { listener: listener.into(), drain: DRAIN, http2_only: false }
    }

    /// Speaks HTTP/2 only, as gRPC does.
    #[must_use]
    pub fn http2_only(self) -> Self {
        Self { http2_only: true, ..self }
    }

    /// How long what is being answered at a stop may take.
    #[must_use]
    pub fn drain(self, limit: Duration) -> Self {
        Self { drain: limit, ..self }
    }

    /// Serves until `shutdown`. When it returns, the socket is closed and so is every connection.
    pub async fn run(self, router: Router, shutdown: impl Future<Output = ()> + Send) {
        let engine = Arc::new(engine(self.http2_only));
        let protocols: &[&str] = if self.http2_only { &["h2"] } else { &["h2", "http/1.1"] };
        let mut accepting = self.listener.accepting(protocols);
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let has_room = connections.len() < CONNECTIONS;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                (connection, peer) = accepting.next(), if has_room => {
                    connections.spawn(speak(connection, peer, Arc::clone(&engine), router.clone(), stopping.clone()));
                }
            }
        }
        drop(accepting);
        let _ = stop.send(true);
        let all_over = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain, all_over).await.is_err() {
            tracing::warn!(connections = connections.len(), "not all was answered in time; the rest is cut off");
        }
        connections.shutdown().await;
    }
}

type Engine = auto::Builder<TokioExecutor>;

fn engine(http2_only: bool) -> Engine {
    let mut engine = auto::Builder::new(TokioExecutor::new());
    engine.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE);
    engine
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    if http2_only { engine.http2_only() } else { engine }
}

/// Answers one client, until either side has enough.
async fn speak(
    connection: Connection,
    peer: SocketAddr,
    engine: Arc<Engine>,
    router: Router,
    stopping: watch::Receiver<bool>,
) {
    let heard = connection.heard();
    let service = service_fn(move |request| answer(router.clone(), peer, request));
    let mut connection = pin!(engine.serve_connection(TokioIo::new(connection), service));
    let over = tokio::select! {
        over = connection.as_mut() => over,
        () = silence(&heard) => {
            tracing::debug!(%peer, "a client that never spoke");
            return;
        }
        () = stopped(stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = over {
        tracing::debug!(%peer, error, "client connection");
    }
}

async fn answer(router: Router, peer: SocketAddr, mut request: Request<Incoming>) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

/// Passes if the client does not begin to speak; what it has begun is limited by the engine.
async fn silence(heard: &Heard) {
    tokio::time::sleep(SILENCE).await;
    if heard.is_enough() {
        std::future::pending().await
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // Gone without a word, it has stopped as well.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}

#[cfg(feature = "http")]
#[cfg(test)]
mod tests;
