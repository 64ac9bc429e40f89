//! Boots real processes on free ports and behaves like users, clients and attackers.
//!
//! This library is the harness; the tests are in `tests/e2e/`, a module for each area, all in one binary. They see the
//! product only from outside: a child process, its sockets, its standard output, its files and its log. Nothing of ours
//! is linked in.
//!
//! | module | what it is for |
//! |---|---|
//! | [`system`] | `propusk up` as a child, ended with the test; killing and restarting one of its parts |
//! | [`http`] | one request, one answer, and assertions that show both |
//! | [`people`] | registering, signing in, refreshing, OAuth calls, the administrator |
//! | [`browser`] | a session at the gateway, its cookie carried by hand |
//! | [`forge`] | tokens as an attacker would make them |
//! | [`leak`] | the authority's private keys, for whoever has its files and its key-encryption key |
//! | [`stand_in`] | small servers that take the place of a part or are the attacker's own |
//! | [`proxy`] | a connection that is cut, delayed and repeated on its way |
//! | [`python`] | Python environments for what is not ours |
//! | [`raw`] | bytes on a socket, for requests that no HTTP library would send |
//!
//! A test is an ordinary `#[test]` around [`run`]: all of them share one runtime, so that connections outlive a test. One
//! that measures time or memory goes around [`alone`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking, with the place in the test"
)]

pub mod browser;
pub mod forge;
pub mod http;
pub mod leak;
pub mod people;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod stand_in;
pub mod system;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// Shared by the tests that run beside each other, taken whole by one that must have the machine for itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test's body on the one runtime of the process, beside other tests.
pub fn run<T>(body: impl Future<Output = T>) -> T {
    let _beside = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(body)
}

/// Runs the body of a test that measures, while no other test of this process runs.
pub fn alone<T>(body: impl Future<Output = T>) -> T {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(body)
}

/// Starts work beside the test's body.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    RUNTIME.spawn(work)
}

/// A name that no other call in this process returns, and that no earlier run on the same data returned.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static RUN: LazyLock<u128> = LazyLock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        since.as_millis() % 100_000_000
    });
    format!("{prefix}-{}-{}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks again until the answer is there; panics with `what` when `limit` has passed.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    match within(limit, ask) {
        Some(answer) => answer,
        None => panic!("not within {limit:?}: {what}"),
    }
}

/// Asks again until the answer is there or `limit` has passed.
pub fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same for a question that is itself asynchronous.
pub async fn eventually_async<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets a stretch of time pass that is itself what the test is about (the end of a token's life, of a grace window).
pub async fn time_passes(stretch: Duration) {
    tokio::time::sleep(stretch).await;
}
