//! The shared-memory primitives of the hot path, so that loom can take their place and try every interleaving.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

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

/// A place for a value, which is replaced as a whole while others read it.
#[cfg(not(all(test, loom)))]
pub(crate) use arc_swap::ArcSwapOption as Place;

/// What a place held when it was looked at. It stays as it is.
#[cfg(not(all(test, loom)))]
pub(crate) type Seen<T> = arc_swap::Guard<Option<Arc<T>>>;

#[cfg(all(test, loom))]
pub(crate) use self::under_loom::{Place, Seen};

#[cfg(all(test, loom))]
mod under_loom {
    use std::ops::Deref;
    use std::sync::Arc;

    /// As far as `arc_swap` promises: who loads a value sees what was written before it was stored. It promises a little
    /// less than a mutex, which also orders those who only load.
    pub(crate) struct Place<T>(Mutex<Option<Arc<T>>>);

    impl<T> Place<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load(&self) -> Seen<T> {
            Seen(self.0.lock().clone())
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.0.lock(), value)
        }
    }

    pub(crate) struct Seen<T>(Option<Arc<T>>);

    impl<T> Seen<T> {
        pub(crate) fn from_inner(value: Option<Arc<T>>) -> Self {
            Self(value)
        }
    }

    impl<T> Deref for Seen<T> {
        type Target = Option<Arc<T>>;

        fn deref(&self) -> &Option<Arc<T>> {
            &self.0
        }
    }

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
