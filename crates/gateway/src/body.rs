//! The bodies that pass through: streamed, never collected, and watched only for progress.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::pool::Lease;
use crate::watch::Watch;

/// Why the body of an answer breaks off.
type AnswerError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// Ours, in one piece.
    Own(Option<Bytes>),
    /// An upstream's, as it comes.
    Upstream {
        incoming: Incoming,
        /// Gives the connection back when the body is over.
        lease: Option<Lease>,
        /// Breaks it off when the caller would not be let through any more.
        watch: Option<Watch>,
    },
}

impl AnswerBody {
    pub(crate) fn empty() -> Self {
        Self::Own(None)
    }

    pub(crate) fn upstream(incoming: Incoming, lease: Lease) -> Self {
        Self::Upstream { incoming, lease: Some(lease), watch: None }
    }

    /// Has it watched until it is over.
    pub(crate) fn watched(&mut self, new: Watch) {
        if let Self::Upstream { watch, .. } = self {
            *watch = Some(new);
        }
    }
}

impl From<Vec<u8>> for AnswerBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Own(Some(Bytes::from(bytes)).filter(|bytes| !bytes.is_empty()))
    }
}

impl From<String> for AnswerBody {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream { incoming, lease, watch } => {
                if let Some(watch) = watch
                    && !ready!(watch.poll_stands(cx))
                {
                    return Poll::Ready(Some(Err("the caller would not be let through any more".into())));
                }
                let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
                    if let Some(watch) = watch {
                        watch.wake_when_due(cx);
                    }
                    return Poll::Pending;
                };
                if frame.is_none()
                    && let Some(lease) = lease.take()
                {
                    lease.give_back();
                }
                // Trailers end here: what they may mean is agreed hop by hop.
                let frame = frame.filter(|frame| !matches!(frame, Ok(frame) if frame.is_trailers()));
                Poll::Ready(frame.map(|frame| frame.map_err(AnswerError::from)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upstream { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // With a known length the engine stops at the last byte and does not ask for the end.
        if let Self::Upstream { incoming, lease, .. } = self
            && incoming.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

/// The body of a request to an upstream or to the authority.
pub(crate) enum RequestBody {
    /// Ours, in one piece.
    Own(Option<Bytes>),
    /// A client's, as it comes.
    Client(Incoming, Arc<Progress>),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Client(incoming, progress) => {
                let polled = Pin::new(incoming).poll_frame(cx);
                progress.moved(&polled);
                // Trailers could carry headers past the checks.
                polled.map(|frame| frame.filter(|frame| !matches!(frame, Ok(frame) if frame.is_trailers())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Client(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Client(incoming, _) => incoming.size_hint(),
        }
    }
}

/// When a request's body last moved, and who is waited for.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    moved_ms: AtomicU64,
    client_owes: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), moved_ms: AtomicU64::new(0), client_owes: AtomicBool::new(false) })
    }

    fn moved<T>(&self, polled: &Poll<T>) {
        self.client_owes.store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.moved_ms.store(elapsed, Ordering::Relaxed);
        }
    }

    /// When it last moved; the beginning, if never.
    pub(crate) fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))
    }

    /// The upstream waits for more of the body, and the client has not sent it.
    pub(crate) fn is_client_late(&self) -> bool {
        self.client_owes.load(Ordering::Relaxed)
    }
}
