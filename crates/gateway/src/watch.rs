//! An answer that goes on for long is decided on again and again: events and downloads end when their caller would not
//! be let through any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::time::Sleep;

/// Not more often, whatever is configured.
const LEAST: Duration = Duration::from_millis(10);

/// Asks every so often whether a caller still stands.
pub(crate) struct Watch {
    every: Duration,
    due: Instant,
    /// Runs only while nothing else would wake us.
    timer: Option<Pin<Box<Sleep>>>,
    ask: Box<dyn Fn() -> BoxFuture<'static, bool> + Send>,
    asking: Option<BoxFuture<'static, bool>>,
}

impl Watch {
    /// Begins now, right after the first decision.
    pub(crate) fn new(every: Duration, ask: impl Fn() -> BoxFuture<'static, bool> + Send + 'static) -> Self {
        let every = every.max(LEAST);
        Self { every, due: Instant::now() + every, timer: None, ask: Box::new(ask), asking: None }
    }

    /// Whether the caller stands; waits for an answer that is due.
    pub(crate) fn poll_stands(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if let Some(asking) = &mut self.asking {
                let stands = ready!(asking.as_mut().poll(cx));
                self.asking = None;
                if !stands {
                    return Poll::Ready(false);
                }
                (self.due, self.timer) = (Instant::now() + self.every, None);
            }
            if Instant::now() < self.due {
                return Poll::Ready(true);
            }
            self.asking = Some((self.ask)());
        }
    }

    /// Wakes the task when the next question is due.
    pub(crate) fn wake_when_due(&mut self, cx: &mut Context<'_>) {
        let due = self.due;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::*;

    /// Says yes so many times.
    fn watch(every: Duration, yes: usize) -> (Watch, Arc<AtomicUsize>) {
        let asked = Arc::<AtomicUsize>::default();
        let counter = asked.clone();
        let ask = move || {
            let n = counter.fetch_add(1, Ordering::Relaxed);
            async move { n < yes }.boxed()
        };
        (Watch::new(every, ask), asked)
    }

    #[tokio::test]
    async fn nobody_is_asked_before_it_is_due() {
        let (mut watch, asked) = watch(Duration::from_secs(60), 0);
        for _ in 0..10 {
            assert!(poll_fn(|cx| watch.poll_stands(cx)).await);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn it_wakes_by_itself_and_asks_until_the_answer_is_no() {
        let (mut watch, asked) = watch(Duration::from_millis(5), 3);
        let ended = poll_fn(|cx| {
            if !ready!(watch.poll_stands(cx)) {
                return Poll::Ready(());
            }
            watch.wake_when_due(cx);
            Poll::Pending
        });
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
