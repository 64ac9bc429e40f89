//! The audit log.

use propusk_core::env::Timestamp;
use propusk_core::store::{AuditEntry, AuditFilter, AuditLog, StoreError, StoredAuditEntry};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

/// One query for each condition that can lead, so that an index can serve it; `?1` to `?4` are the conditions.
macro_rules! select {
    ($lead:literal) => {
        concat!(
            "SELECT n, at, actor, action, subject, service, outcome, jti, kid, request_id FROM audit WHERE ",
            $lead,
            " AND (?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR service = ?3)",
            " AND (?4 IS NULL OR action = ?4) AND n < ?5 ORDER BY n DESC LIMIT ?6"
        )
    };
}

pub(super) const SELECT: &str = select!("true");
pub(super) const SELECT_BY_SUBJECT: &str = select!("subject = ?1");
pub(super) const SELECT_BY_ACTOR: &str = select!("actor = ?2");

pub(super) const INSERT: &str = "INSERT INTO audit (at, actor, action, subject, service, outcome, jti, kid, request_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

impl AuditLog for SqliteTx<'_> {
    fn audit_entries(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredAuditEntry>, StoreError> {
        let sql = match filter {
            AuditFilter { subject: Some(_), .. } => SELECT_BY_SUBJECT,
            AuditFilter { actor: Some(_), .. } => SELECT_BY_ACTOR,
            _ => SELECT,
        };
        let AuditFilter { subject, actor, service, action } = filter;
        let before = before.and_then(|n| i64::try_from(n).ok()).unwrap_or(i64::MAX);
        self.all(sql, params![subject, actor, service, action, before, row::limit(limit)], entry)
    }

    fn append_audit(&mut self, entry: &AuditEntry, at: Timestamp) -> Result<(), StoreError> {
        let AuditEntry { actor, action, subject, service, outcome, jti, kid, request_id } = entry;
        let at = row::time(at);
        self.write_apart(INSERT, params![at, actor, action, subject, service, outcome, jti, kid, request_id])
            .map(|_| ())
    }
}

fn entry(columns: &mut Columns<'_>) -> rusqlite::Result<StoredAuditEntry> {
    Ok(StoredAuditEntry {
        n: columns.number()?,
        at: columns.time()?,
        actor: columns.get()?,
        action: columns.get()?,
        subject: columns.get()?,
        service: columns.get()?,
        outcome: columns.get()?,
        jti: columns.get()?,
        kid: columns.get()?,
        request_id: columns.get()?,
    })
}
