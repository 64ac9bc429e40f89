//! Accepting connections, and stopping: what is being answered is answered, then everything that was held is let go.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ended::{Waiting, end_sessions};
use crate::framing::io::{ConnectionState, GuardedIo};
use crate::gateway::Gateway;
use crate::service;

const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long a failing `accept` is left alone; it fails when files run out, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// For ending sessions at the authority after the last answer.
const LET_GO: Duration = Duration::from_millis(750);
/// The engine's buffers for one connection.
const BUFFER: usize = 128 * 1024;

/// Serves until `shutdown` resolves, and then for as long as the configuration gives to what is being answered.
pub(crate) async fn run(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    waiting: Waiting,
    shutdown: impl Future<Output = ()> + Send,
) {
    let sweeping = tokio::spawn(sweep(gateway.clone()));
    let ending = tokio::spawn(end_sessions(waiting, gateway.authority.clone()));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let free = Arc::new(Semaphore::new(gateway.limits.connections));
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, permit) = accept(&listener, &free) => {
                connections.spawn(connection(stream, peer, permit, gateway.clone(), stopping.clone()));
            }
        }
    }
    drop(listener);
    gateway.stop();
    let _ = stop.send(true);
    let all_over = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(gateway.timeouts.drain, all_over).await.is_err() {
        tracing::warn!(connections = connections.len(), "not all was answered in time; the rest is cut off");
    }
    connections.shutdown().await;
    sweeping.abort();
    let _ = sweeping.await;
    gateway.basic.clear();
    // With the last holder gone, nobody can hand over another session, and the task comes to its end.
    let (deadline, abort) = (Instant::now() + LET_GO, ending.abort_handle());
    drop(gateway);
    if tokio::time::timeout_at(deadline, ending).await.is_err() {
        abort.abort();
        tracing::warn!("not all sessions of Basic clients could be ended at the authority");
    }
}

async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        // Nobody closes it; whoever cannot be served yet waits in the listener's queue.
        let Ok(permit) = free.clone().acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
    gateway: Arc<Gateway>,
    stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let _counted = gateway.metrics.connection();
    let Some(tls) = &gateway.tls else {
        return speak(stream, peer, &gateway, stopping).await;
    };
    match tokio::time::timeout(gateway.timeouts.header_read, tls.accept(stream)).await {
        Ok(Ok(stream)) => Box::pin(speak(stream, peer, &gateway, stopping)).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

/// HTTP/1.1, until either side has enough.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    gateway: &Arc<Gateway>,
    stopping: watch::Receiver<bool>,
) {
    let state = Arc::<ConnectionState>::default();
    let (limits, timeouts) = (gateway.head_limits(), gateway.timeouts);
    let io = GuardedIo::new(stream, limits, timeouts.write_stall, state.clone());
    let service = service_fn(|request: Request<Incoming>| {
        let (gateway, state) = (gateway.clone(), state.clone());
        async move { Ok::<_, Infallible>(service::answer(&gateway, peer.ip(), &state, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeouts.header_read)
            .max_headers(limits.headers)
            .max_buf_size(BUFFER.max(2 * limits.head_bytes))
            .serve_connection(TokioIo::new(io), service)
    );
    let over = tokio::select! {
        over = connection.as_mut() => over,
        () = stopped(stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = over {
        tracing::debug!(%error, %peer, "client connection");
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // Gone without a word, it has stopped as well.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}

async fn sweep(gateway: Arc<Gateway>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        gateway.sweep();
    }
}
