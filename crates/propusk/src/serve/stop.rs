//! Telling parts to stop, and being told.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Told once, everybody who asked knows.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    /// Not told yet.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Tells.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is told; also when nobody can tell it any more.
    pub(crate) fn asked(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.0.subscribe();
        async move {
            let _ = told.wait_for(|told| *told).await;
        }
    }
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signalled() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be received: only SIGKILL ends this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_is_told_also_who_asks_late() {
        let stop = Stop::new();
        let early = stop.asked();
        stop.now();
        early.await;
        stop.asked().await;
        let orphan = Stop::new().asked();
        orphan.await;
    }
}
