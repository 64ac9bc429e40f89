//! The storage traits, one file an entity. A backend implements them all; [`Tx`] is their sum.
//!
//! Reads take `&self`, writes `&mut self`: an operation that is handed `&dyn Tx` cannot write, whatever it does.
//! Every call of one `Tx` sees one snapshot, and what it writes becomes visible and durable as one.
//!
//! **To add an entity**: a struct and a trait in a file of its own here, the trait in the sum below, an
//! implementation in a file of the same name in each backend, a migration there, and its cases in the suite that
//! every backend runs.

mod audit;
mod clients;
mod done;
mod exchange_rules;
mod gone;
mod groups;
mod idempotency;
mod keys;
mod log;
mod refresh_tokens;
mod roles;
mod services;
mod sessions;
mod users;

pub use audit::{AuditEntry, AuditFilter, AuditLog, StoredAuditEntry};
pub use clients::{AuthMethod, Client, Clients, GrantType, PreviousSecret};
pub use done::Done;
pub use exchange_rules::{ExchangeRule, ExchangeRules, SubjectKind};
pub use gone::{Gone, GoneId};
pub use groups::{Group, Groups};
pub use idempotency::Idempotency;
pub use keys::{KeyState, Keys, SealedKey, SigningAlg};
pub use log::{Log, LogRow, LogState};
pub use refresh_tokens::{RefreshToken, RefreshTokens, Rotation, TokenPlace};
pub use roles::{Holder, Role, RoleGrant, Roles};
pub use services::{Service, Services};
pub use sessions::{LastUse, Session, SessionOrigin, Sessions};
pub use users::{User, Users};

/// One transaction: a snapshot to read and, where it is `&mut`, a change to commit.
pub trait Tx:
    AuditLog
    + Clients
    + Done
    + ExchangeRules
    + Gone
    + Groups
    + Idempotency
    + Keys
    + Log
    + RefreshTokens
    + Roles
    + Services
    + Sessions
    + Users
{
}

impl<T> Tx for T where
    T: AuditLog
        + Clients
        + Done
        + ExchangeRules
        + Gone
        + Groups
        + Idempotency
        + Keys
        + Log
        + RefreshTokens
        + Roles
        + Services
        + Sessions
        + Users
{
}

/// The store could not do what was asked. Its text is for the operator's log, never for a caller.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting; try again later.
    #[error("the store is busy")]
    Busy,
    /// The database failed.
    #[error("the store failed: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// A failure of the backend.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

/// One page of a list: at most `limit` items that come after `after` in the list's own order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The sort key of the last item of the page before.
    pub after: Option<String>,
    /// Most items.
    pub limit: usize,
}
