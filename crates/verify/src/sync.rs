//! The shared-memory primitives of the hot path, so that loom can take their place and try every interleaving.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(all(test, loom)))]
pub(crate) use parking_lot::Mutex;

#[cfg(all(test, loom))]
pub(crate) use self::under_loom::Mutex;

use std::sync::Arc;

/// A value that is replaced as a whole while others read it.
#[cfg(not(all(test, loom)))]
pub(crate) struct Published<T>(arc_swap::ArcSwap<T>);

#[cfg(not(all(test, loom)))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    /// What was stored last, or a later one; it stays as it is while it is held.
    pub(crate) fn load(&self) -> impl std::ops::Deref<Target = Arc<T>> {
        self.0.load()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

#[cfg(all(test, loom))]
pub(crate) struct Published<T>(Mutex<Arc<T>>);

#[cfg(all(test, loom))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Arc::new(value)))
    }

    pub(crate) fn load(&self) -> impl std::ops::Deref<Target = Arc<T>> {
        Box::new(Arc::clone(&self.0.lock()))
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        *self.0.lock() = value;
    }
}

#[cfg(all(test, loom))]
mod under_loom {
    /// loom's mutex with the interface of `parking_lot`.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
