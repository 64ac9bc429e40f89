//! The machine of [`super::Framing`] between a client's socket and the HTTP engine.
//!
//! A refused head is replaced by a harmless one of our own, so that the engine calls the service once more, in order,
//! and the service can answer as it always does: problem document, request id, log line. After that the engine reads
//! nothing more; the harmless head told it to close.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Framing, HeadLimits, Reject, Step};

/// Stands for a refused head. Never routed: the service looks at [`ConnectionState::rejected`] first.
const SUBSTITUTE: &[u8] = b"GET / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n";
const READ_SIZE: usize = 16 * 1024;
/// What a client may still send when we have closed our side, so that it reads our last answer instead of a reset.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// What the service of a connection must know of its reading side.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    heads: AtomicU64,
    served: AtomicU64,
    rejected: Mutex<Option<(u64, Reject)>>,
    broken_body: Mutex<Option<Reject>>,
}

impl ConnectionState {
    /// To be called once for each request, in order: why this one was refused, if it was.
    pub(crate) fn next_request(&self) -> Option<Reject> {
        let number = self.served.fetch_add(1, Ordering::Relaxed) + 1;
        self.rejected.lock().filter(|(rejected, _)| *rejected == number).map(|(_, reject)| reject)
    }

    /// Why the body that is being read broke off, if framing was the reason.
    pub(crate) fn broken_body(&self) -> Option<Reject> {
        *self.broken_body.lock()
    }
}

/// A client's connection whose reading side is watched, and which is cut off if the client takes nothing.
pub(crate) struct GuardedIo<T> {
    inner: T,
    framing: Framing,
    state: Arc<ConnectionState>,
    input: BytesMut,
    released: usize,
    ended: bool,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
    /// How long a write may wait, and the clock that runs while one does.
    write_stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> GuardedIo<T> {
    pub(crate) fn new(inner: T, limits: HeadLimits, write_stall: Duration, state: Arc<ConnectionState>) -> Self {
        Self {
            inner,
            framing: Framing::new(limits),
            state,
            input: BytesMut::new(),
            released: 0,
            ended: false,
            linger: None,
            write_stall,
            stalled: None,
        }
    }

    /// Passes on how a write went; an error if it has waited too long.
    fn watch<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let limit = self.write_stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }

    /// Decides on what was read but not released. `false`: more must be read.
    fn judge(&mut self) -> io::Result<bool> {
        let was_in_body = self.framing.in_body();
        match self.framing.step(&self.input) {
            Step::NeedMore => Ok(false),
            Step::Release(bytes, is_head) => {
                self.released = bytes;
                self.state.heads.fetch_add(u64::from(is_head), Ordering::Relaxed);
                Ok(true)
            }
            Step::Reject(reject) if was_in_body => {
                *self.state.broken_body.lock() = Some(reject);
                Err(io::Error::new(io::ErrorKind::InvalidData, "ambiguous framing"))
            }
            Step::Reject(_) if self.ended => Ok(false),
            Step::Reject(reject) => {
                let number = self.state.heads.fetch_add(1, Ordering::Relaxed) + 1;
                *self.state.rejected.lock() = Some((number, reject));
                self.input.clear();
                self.input.extend_from_slice(SUBSTITUTE);
                self.released = SUBSTITUTE.len();
                self.ended = true;
                Ok(true)
            }
        }
    }
}

impl<T: AsyncRead + Unpin> GuardedIo<T> {
    /// Reads straight into the engine's buffer where nothing has to be judged.
    fn poll_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, most: usize) -> Poll<io::Result<()>> {
        let most = most.min(buf.remaining());
        let space = buf.initialize_unfilled_to(most);
        let mut part = ReadBuf::new(space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let filled = part.filled().len();
        // A body of known length: any bytes are right, only their number counts.
        let _ = self.framing.step(part.filled());
        buf.advance(filled);
        Poll::Ready(Ok(()))
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = self.input.len();
        self.input.resize(before + READ_SIZE, 0);
        let mut space = ReadBuf::new(self.input.get_mut(before..).unwrap_or_default());
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut space);
        let filled = space.filled().len();
        self.input.truncate(before + filled);
        ready!(polled)?;
        Poll::Ready(Ok(filled))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.released > 0 {
                let here = this.released.min(buf.remaining());
                buf.put_slice(this.input.get(..here).unwrap_or_default());
                this.input.advance(here);
                this.released -= here;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                // Not the end of the stream: the engine would take it for a client that went away, and not answer.
                return Poll::Pending;
            }
            if this.input.is_empty() {
                // Idle connections hold no buffer.
                this.input = BytesMut::new();
                let most = this.framing.plain_bytes();
                if most > 0 {
                    return this.poll_through(cx, buf, usize::try_from(most).unwrap_or(usize::MAX));
                }
            } else if this.judge()? {
                continue;
            }
            if ready!(this.poll_input(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, polled)
    }

    /// Closes our side, then reads on for a moment: a socket that is dropped with bytes unread is reset, and the
    /// client may lose the answer that told it why.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            this.linger = Some((Box::pin(tokio::time::sleep(LINGER)), 0));
        }
        this.input.clear();
        while let Some((deadline, drained)) = &mut this.linger {
            if *drained >= LINGER_BYTES || deadline.as_mut().poll(cx).is_ready() {
                break;
            }
            match this.poll_input(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(bytes)) => {
                    this.input.clear();
                    if let Some((_, drained)) = &mut this.linger {
                        *drained += bytes;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::tests::LIMITS;
    use super::*;

    const STALL: Duration = Duration::from_secs(5);

    /// All that the engine reads; to its end, an error, or until nothing more ever comes.
    async fn read_all(bytes: &[u8]) -> (Vec<u8>, Arc<ConnectionState>, io::Result<()>) {
        let (mut client, server) = tokio::io::duplex(64);
        let state = Arc::new(ConnectionState::default());
        let mut guarded = GuardedIo::new(server, LIMITS, STALL, state.clone());
        let bytes = bytes.to_vec();
        let writer = tokio::spawn(async move {
            let _ = client.write_all(&bytes).await;
            drop(client);
        });
        let mut out = Vec::new();
        let mut piece = [0; 13];
        let end = loop {
            match guarded.read(&mut piece).await {
                Ok(0) => break Ok(()),
                Ok(n) => out.extend_from_slice(&piece[..n]),
                Err(error) => break Err(error),
            }
            if guarded.ended && guarded.released == 0 {
                break Ok(());
            }
        };
        drop(guarded);
        writer.await.unwrap();
        (out, state, end)
    }

    #[tokio::test]
    async fn passes_what_is_right() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\n012345678901234567890123456789GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
        let (out, state, end) = read_all(bytes).await;
        assert!(end.is_ok());
        assert_eq!(out, bytes);
        assert_eq!((state.next_request(), state.next_request()), (None, None));
    }

    #[tokio::test]
    async fn replaces_a_refused_head_and_ends() {
        let bytes = b"GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\nHost: h\n\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n";
        let (out, state, end) = read_all(bytes).await;
        assert!(end.is_ok());
        assert_eq!(out, [b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", SUBSTITUTE].concat());
        assert_eq!(state.next_request(), None);
        assert!(matches!(state.next_request(), Some(Reject::Malformed(_))));
        assert_eq!(state.next_request(), None);
    }

    #[tokio::test]
    async fn a_broken_chunk_is_an_error() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n";
        let (_, state, end) = read_all(bytes).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(state.broken_body().is_some());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (client, server) = tokio::io::duplex(64);
        let mut guarded = GuardedIo::new(server, LIMITS, Duration::from_millis(20), Arc::default());
        let error = guarded.write_all(&[b'x'; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn whenever_it_takes_something_its_time_begins_anew() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut guarded = GuardedIo::new(server, LIMITS, STALL, Arc::default());
        guarded.write_all(&[b'x'; 64]).await.unwrap();
        assert!(guarded.write(b"y").now_or_never().is_none() && guarded.stalled.is_some());
        client.read_exact(&mut [0; 64]).await.unwrap();
        guarded.write_all(b"y").await.unwrap();
        assert!(guarded.stalled.is_none());
    }
}
