//! Who does something, as every operation hands it to the audit log.

use crate::store::AuditEntry;

/// The one that an operation is done for, and the request it came with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// A subject; empty for somebody who is not signed in.
    pub subject: String,
    /// The request's id.
    pub request_id: String,
}

impl Actor {
    /// Somebody who is not signed in.
    pub fn anonymous(request_id: impl Into<String>) -> Self {
        Self { subject: String::new(), request_id: request_id.into() }
    }

    /// The authority itself.
    pub fn system() -> Self {
        Self { subject: "propusk".to_owned(), request_id: String::new() }
    }

    /// The beginning of an entry about what this one did.
    pub fn entry(&self, action: &'static str, outcome: &'static str) -> AuditEntry {
        AuditEntry {
            actor: self.subject.clone(),
            action,
            outcome,
            request_id: self.request_id.clone(),
            ..AuditEntry::default()
        }
    }
}
