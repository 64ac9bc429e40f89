//! The audit log: written in the transaction of the change that it tells of.

use super::StoreError;
use crate::env::Timestamp;

/// What happened, as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEntry {
    /// Who did it: a subject, or empty for nobody known.
    pub actor: String,
    /// What was done, `snake_case`: `login`, `refresh_reuse`, `role_taken`, …
    pub action: &'static str,
    /// To whom or what.
    pub subject: String,
    /// For which service, if for one.
    pub service: Option<String>,
    /// How it ended: `ok` or a reason.
    pub outcome: &'static str,
    /// The token concerned.
    pub jti: Option<String>,
    /// The key concerned.
    pub kid: Option<String>,
    /// The request that caused it.
    pub request_id: String,
}

/// An entry as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuditEntry {
    /// Its place in the audit log.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// For which service.
    pub service: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The token concerned.
    pub jti: Option<String>,
    /// The key concerned.
    pub kid: Option<String>,
    /// The request that caused it.
    pub request_id: String,
}

/// Which entries are wanted: all conditions that are set hold.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Exactly this subject.
    pub subject: Option<String>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this service.
    pub service: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
}

/// Storage of the audit log.
pub trait AuditLog {
    /// Newest first: up to `limit` entries with `n` below `before`.
    fn audit_entries(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredAuditEntry>, StoreError>;
    /// Appends an entry.
    fn append_audit(&mut self, entry: &AuditEntry, at: Timestamp) -> Result<(), StoreError>;
}
