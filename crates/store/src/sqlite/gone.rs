//! What was deleted, with everything that belonged to it.

use propusk_core::env::Timestamp;
use propusk_core::store::{Gone, GoneId, StoreError};
use rusqlite::params;

use super::row;
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT 1 FROM gone WHERE kind = ?1 AND id = ?2";
pub(super) const INSERT: &str = "INSERT INTO gone (kind, id, at) VALUES (?1, ?2, ?3)";

pub(super) const HAS_USER: &str = "SELECT 1 FROM users WHERE id = ?1";
pub(super) const HAS_CLIENT: &str = "SELECT 1 FROM clients WHERE id = ?1";
pub(super) const HAS_SERVICE: &str = "SELECT 1 FROM services WHERE id = ?1";

pub(super) const USER_TOKENS: &str =
    "DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = ?1)";
pub(super) const USER_SESSIONS: &str = "DELETE FROM sessions WHERE user_id = ?1";
pub(super) const USER_ROLES: &str = "DELETE FROM user_roles WHERE user_id = ?1";
pub(super) const USER_GROUPS: &str = "DELETE FROM group_members WHERE user_id = ?1";
pub(super) const USER: &str = "DELETE FROM users WHERE id = ?1";

pub(super) const CLIENT_TOKENS: &str =
    "DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE client_id = ?1)";
pub(super) const CLIENT_SESSIONS: &str = "DELETE FROM sessions WHERE client_id = ?1";
pub(super) const CLIENT_ROLES: &str = "DELETE FROM client_roles WHERE client_id = ?1";
pub(super) const CLIENT_RULES: &str = "DELETE FROM exchange_rules WHERE actor = ?1";
pub(super) const CLIENT: &str = "DELETE FROM clients WHERE id = ?1";

pub(super) const SERVICE_KEYS: &str = "DELETE FROM keys WHERE service = ?1";
pub(super) const SERVICE_USERS: &str = "DELETE FROM user_roles WHERE (service, role) IN
    (SELECT service, role FROM roles WHERE service = ?1)";
pub(super) const SERVICE_CLIENTS: &str = "DELETE FROM client_roles WHERE (service, role) IN
    (SELECT service, role FROM roles WHERE service = ?1)";
pub(super) const SERVICE_GROUPS: &str = "DELETE FROM group_roles WHERE (service, role) IN
    (SELECT service, role FROM roles WHERE service = ?1)";
pub(super) const SERVICE_INHERITS: &str = "DELETE FROM role_inherits WHERE service = ?1";
pub(super) const SERVICE_PERMISSIONS: &str = "DELETE FROM role_permissions WHERE service = ?1";
pub(super) const SERVICE_ROLES: &str = "DELETE FROM roles WHERE service = ?1";
pub(super) const SERVICE_RULES: &str = "DELETE FROM exchange_rules WHERE audience = ?1";
pub(super) const SERVICE: &str = "DELETE FROM services WHERE id = ?1";

impl Gone for SqliteTx<'_> {
    fn is_gone(&self, id: &GoneId) -> Result<bool, StoreError> {
        self.one(SELECT, [id.kind(), id.as_str()], |_| Ok(())).map(|found| found.is_some())
    }

    fn delete(&mut self, id: &GoneId, at: Timestamp) -> Result<bool, StoreError> {
        let (there, parts) = parts(id);
        if self.one(there, [id.as_str()], |_| Ok(()))?.is_none() {
            return Ok(false);
        }
        for part in parts {
            self.write(part, [id.as_str()])?;
        }
        self.write(INSERT, params![id.kind(), id.as_str(), row::time(at)])?;
        if matches!(id, GoneId::User(_)) {
            self.set_erased();
        }
        Ok(true)
    }
}

/// What tells whether it is there, and what deletes it: what refers to something before that.
fn parts(id: &GoneId) -> (&'static str, &'static [&'static str]) {
    match id {
        GoneId::User(_) => (HAS_USER, &[USER_TOKENS, USER_SESSIONS, USER_ROLES, USER_GROUPS, USER]),
        GoneId::Client(_) => (HAS_CLIENT, &[CLIENT_TOKENS, CLIENT_SESSIONS, CLIENT_ROLES, CLIENT_RULES, CLIENT]),
        GoneId::Service(_) => (
            HAS_SERVICE,
            &[
                SERVICE_KEYS,
                SERVICE_USERS,
                SERVICE_CLIENTS,
                SERVICE_GROUPS,
                SERVICE_INHERITS,
                SERVICE_PERMISSIONS,
                SERVICE_ROLES,
                SERVICE_RULES,
                SERVICE,
            ],
        ),
    }
}
