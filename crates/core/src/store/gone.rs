//! Ids whose owners are gone. No id is ever used twice.

use super::StoreError;
use crate::env::Timestamp;
use crate::id::{ClientId, ServiceId, UserId};

/// An id that was somebody's, or a service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoneId {
    /// A person's.
    User(UserId),
    /// A client's.
    Client(ClientId),
    /// A service's.
    Service(ServiceId),
}

impl GoneId {
    /// As written in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Client(_) => "client",
            Self::Service(_) => "service",
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Client(id) => id.as_str(),
            Self::Service(id) => id.as_str(),
        }
    }
}

/// Storage of the ids that were deleted.
pub trait Gone {
    /// Whether the id was deleted.
    fn is_gone(&self, id: &GoneId) -> Result<bool, StoreError>;
    /// Deletes whatever has this id, and everything that belongs to it: a person's or a client's sessions, refresh
    /// tokens, roles, memberships and exchange rules; a service's keys, roles and exchange rules. The id stays
    /// behind. `false` if there is nothing of this id (then nothing was written).
    fn delete(&mut self, id: &GoneId, at: Timestamp) -> Result<bool, StoreError>;
}
