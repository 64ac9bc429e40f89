//! Rules of token exchange.

use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{ExchangeRule, ExchangeRules, StoreError, SubjectKind};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str =
    "SELECT actor, audience, subjects, from_services FROM exchange_rules WHERE actor = ?1 AND audience = ?2";

pub(super) const PUT: &str = "INSERT INTO exchange_rules (actor, audience, subjects, from_services)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (actor, audience)
    DO UPDATE SET subjects = excluded.subjects, from_services = excluded.from_services";

pub(super) const DELETE: &str = "DELETE FROM exchange_rules WHERE actor = ?1 AND audience = ?2";

impl ExchangeRules for SqliteTx<'_> {
    fn exchange_rule(&self, actor: &ClientId, audience: &ServiceId) -> Result<Option<ExchangeRule>, StoreError> {
        self.one(SELECT, [actor.as_str(), audience.as_str()], rule)
    }

    fn put_exchange_rule(&mut self, rule: &ExchangeRule) -> Result<(), StoreError> {
        let subjects = row::list(rule.subjects.iter().copied().map(SubjectKind::as_str))?;
        let from = row::list(rule.from.iter().map(ServiceId::as_str))?;
        self.update(PUT, params![rule.actor.as_str(), rule.audience.as_str(), subjects, from])
    }

    fn delete_exchange_rule(&mut self, actor: &ClientId, audience: &ServiceId) -> Result<bool, StoreError> {
        self.write_one(DELETE, [actor.as_str(), audience.as_str()])
    }
}

fn rule(columns: &mut Columns<'_>) -> rusqlite::Result<ExchangeRule> {
    Ok(ExchangeRule {
        actor: columns.parsed()?,
        audience: columns.parsed()?,
        subjects: columns.named_list("a kind of subject", SubjectKind::from_text)?,
        from: columns.list()?,
    })
}
