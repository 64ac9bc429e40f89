//! Answers that are kept for those who ask again because they did not get them.

use super::StoreError;
use crate::env::Timestamp;
use crate::secret::HashedSecret;

/// Storage of kept answers. An answer may hold a secret that was shown once, so it is stored sealed.
pub trait Idempotency {
    /// The sealed answer that is kept under a key.
    fn kept_answer(&self, key: &HashedSecret) -> Result<Option<Vec<u8>>, StoreError>;
    /// Keeps an answer; one that is there is replaced.
    fn keep_answer(&mut self, key: &HashedSecret, sealed: &[u8], at: Timestamp) -> Result<(), StoreError>;
    /// Forgets what was kept before `before`; how many answers.
    fn forget_answers(&mut self, before: Timestamp) -> Result<usize, StoreError>;
}
