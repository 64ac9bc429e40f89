//! What this process knows of its verifiers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use propusk_core::env::{Clock as _, SystemClock as WallClock};
use propusk_core::feed::{Follower, FollowerState, Laggard, Progress, Registry, SubscribeError};
use propusk_core::store::StoreError;
use propusk_store::SqliteStore;
use propusk_verify::clock::{Clock as _, Moment, SystemClock};
use propusk_verify::feed::{Grant, Instance};
use tokio::sync::watch;

use super::tail::Tail;

/// Leases, acknowledgements and the newest events of one process.
pub(crate) struct FeedState {
    registry: Mutex<Registry>,
    pub(super) tail: Tail,
    /// The log's head: raised after a commit and before its calls are answered.
    head: watch::Receiver<u64>,
    /// The floor, as it is stored.
    floor: AtomicU64,
    /// The position up to which no running lease holds anything up.
    settled: watch::Sender<u64>,
}

/// What a wait came to.
pub(crate) struct Waited {
    pub(crate) is_enforced: bool,
    pub(crate) laggards: Vec<Laggard>,
}

impl FeedState {
    /// Reads what the run before left, and stores the longest lease before the first one is granted.
    pub(crate) async fn prepare(store: &SqliteStore, lease: Duration) -> Result<Self, StoreError> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let before = store
            .write(move |tx| {
                let before = tx.longest_lease_ms()?;
                tx.raise_longest_lease_ms(lease_ms)?;
                Ok::<_, StoreError>((before, tx.log_state()?.floor))
            })
            .await?;
        let (longest_before, floor) = before;
        Ok(Self::new(store.head_changes(), floor, lease, Duration::from_millis(longest_before)))
    }

    fn new(head: watch::Receiver<u64>, floor: u64, lease: Duration, longest_before: Duration) -> Self {
        let now = SystemClock.moment();
        let at = *head.borrow();
        Self {
            registry: Mutex::new(Registry::start(now, lease, longest_before)),
            tail: Tail::starting_after(at),
            head,
            floor: AtomicU64::new(floor),
            settled: watch::Sender::new(at),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        *self.head.borrow()
    }

    pub(super) fn head_changes(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// The floor was raised, and is stored.
    pub(crate) fn set_floor(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::Release);
    }

    pub(crate) fn connected(&self, instance: Instance, who: Follower, applied: u64) -> Result<(), SubscribeError> {
        self.registry.lock().connected(SystemClock.moment(), WallClock.now(), instance, who, applied)
    }

    pub(super) fn disconnected(&self, instance: Instance) {
        self.registry.lock().disconnected(SystemClock.moment(), instance);
    }

    pub(crate) fn acked(&self, instance: Instance, applied: u64) {
        let mut registry = self.registry.lock();
        let now = SystemClock.moment();
        registry.acked(now, instance, applied.min(self.head()));
        self.tell_settled(&registry, now);
    }

    /// In one step: the clock, the head and the record. The renewal has come in, and the grant is not sent before.
    pub(super) fn renew(&self, instance: Instance, n: u64, cache: Option<[u64; 3]>) -> Option<Grant> {
        let mut registry = self.registry.lock();
        if let Some(cache) = cache {
            registry.cache(instance, cache);
        }
        registry.renew(SystemClock.moment(), self.head(), self.floor(), instance, n)
    }

    pub(super) fn released(&self, instance: Instance) {
        let mut registry = self.registry.lock();
        let now = SystemClock.moment();
        registry.released(now, instance);
        self.tell_settled(&registry, now);
    }

    fn tell_settled(&self, registry: &Registry, now: Moment) {
        let settled = registry.settled(now, self.head());
        self.settled.send_if_modified(|known| std::mem::replace(known, settled) != settled);
    }

    /// Once in a while.
    pub(crate) fn sweep(&self) {
        self.registry.lock().sweep(SystemClock.moment());
    }

    /// Looks at the registry, at one moment.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Registry, Moment) -> T) -> T {
        let registry = self.registry.lock();
        at(&registry, SystemClock.moment())
    }

    /// The verifiers that were heard of lately.
    pub(crate) fn list(&self) -> Vec<FollowerState> {
        self.registry.lock().list(SystemClock.moment())
    }

    /// Waits until the change at `seq`, which is committed, is enforced, at most for `limit`.
    pub(crate) async fn enforced(&self, seq: u64, limit: Duration) -> Waited {
        let mut settled = self.settled.subscribe();
        let begun = SystemClock.moment();
        let end = begun.plus(limit);
        let mut wait = self.registry.lock().wait(begun, seq);
        let mut look_when_settled = true;
        loop {
            let (progress, now) = {
                let mut registry = self.registry.lock();
                let now = SystemClock.moment();
                (registry.progress(&mut wait, now), now)
            };
            let is_enforced = progress == Progress::Enforced;
            if is_enforced || now >= end {
                return Waited { is_enforced, laggards: self.registry.lock().laggards(&wait, now) };
            }
            let Progress::Until(moment) = progress else { continue };
            // The timer's clock stops while the machine sleeps; then we look later, never too early.
            let pause = moment.min(end).since(now);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = settled.wait_for(|position| *position >= seq), if look_when_settled => look_when_settled = false,
            }
        }
    }
}
