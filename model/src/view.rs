//! A view that can be part of a model's state: compared and hashed by what decisions depend on, copied when it changes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use propusk_verify::feed::View;

/// A view that never changes under those who share it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    view: Arc<View>,
    digest: Arc<[u64]>,
}

impl Held {
    pub(crate) fn new(audience: &str) -> Self {
        Self::of(View::predictable([audience]))
    }

    fn of(view: View) -> Self {
        let digest = view.digest().into();
        Self { view: Arc::new(view), digest }
    }

    pub(crate) fn get(&self) -> &View {
        &self.view
    }

    /// Changes a copy, which takes this one's place.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&View) -> T) -> T {
        let copy = self.view.fork();
        let result = change(&copy);
        *self = Self::of(copy);
        result
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}
