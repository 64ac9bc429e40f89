//! What is done once in the life of the data, and never again, whatever became of it since.

use super::StoreError;
use crate::env::Timestamp;

/// Storage of what was done.
pub trait Done {
    /// Whether it was done.
    fn is_done(&self, what: &str) -> Result<bool, StoreError>;
    /// Writes down that it was; doing so again changes nothing.
    fn set_done(&mut self, what: &str, at: Timestamp) -> Result<(), StoreError>;
}
