//! A bounded queue between the callers of the store and its threads.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// Many put in, many take out; nobody waits to put in.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many wait as may.
    Full,
    /// Nobody takes items out any more.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), capacity }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for an item; `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            self.ready.wait(&mut state);
        }
    }

    /// An item if one is there.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.state.lock().items.pop_front()
    }

    /// Takes no more items; those that are in are still to be taken out.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_all();
    }

    /// Takes no more items and drops those that are in.
    fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.ready.notify_all();
        drop(items);
    }
}

/// Abandons a queue when the last thread that takes items out of it ends, however it ends: nobody may wait for an
/// answer that cannot come.
pub(crate) struct AbandonOnDrop<T>(pub(crate) std::sync::Arc<Queue<T>>);

impl<T> Drop for AbandonOnDrop<T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn it_is_bounded_and_first_in_first_out() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(Refused::Full));
        assert_eq!(queue.try_pop(), Some(1));
        assert_eq!(queue.push(4), Ok(()));
        assert_eq!((queue.pop(), queue.pop(), queue.try_pop()), (Some(2), Some(4), None));
    }

    #[test]
    fn what_is_in_when_it_closes_still_comes_out() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(Refused::Closed));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }

    #[test]
    fn closing_wakes_everyone_who_waits() {
        let queue = Arc::new(Queue::<u8>::new(1));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || queue.pop())
            })
            .collect();
        queue.close();
        assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_none()));
    }

    #[test]
    fn an_abandoned_queue_drops_what_is_in_it() {
        let queue = Arc::new(Queue::new(1));
        let item = Arc::new(());
        queue.push(Arc::clone(&item)).unwrap();
        drop(AbandonOnDrop(Arc::clone(&queue)));
        assert_eq!(Arc::strong_count(&item), 1);
        assert_eq!(queue.push(item), Err(Refused::Closed));
    }
}
