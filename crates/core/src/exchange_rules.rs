//! Who may exchange which tokens for which: made and taken by an administrator.

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{ClientId, ServiceId};
use crate::log;
use crate::store::{AuditEntry, ExchangeRule, StoreError, Tx};

/// Why a rule was left as before.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeRuleError {
    /// No such client.
    #[error("no such client")]
    UnknownActor,
    /// No such service.
    #[error("there is no service {0}")]
    UnknownService(ServiceId),
    /// No such rule.
    #[error("no such rule")]
    Unknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes or replaces a rule. It holds for exchanges from now on, so no verifier has to hear of it; answers the head of
/// the log.
///
/// # Errors
/// [`ExchangeRuleError`].
pub fn put(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, rule: &ExchangeRule) -> Result<u64, ExchangeRuleError> {
    if tx.client(&rule.actor)?.is_none() {
        return Err(ExchangeRuleError::UnknownActor);
    }
    for service in std::iter::once(&rule.audience).chain(&rule.from) {
        if tx.service(service)?.is_none() {
            return Err(ExchangeRuleError::UnknownService(service.clone()));
        }
    }
    if tx.exchange_rule(&rule.actor, &rule.audience)?.as_ref() == Some(rule) {
        return Ok(log::nothing_changed(tx)?);
    }
    tx.put_exchange_rule(rule)?;
    tx.append_audit(&entry(actor, "exchange_rule_put", &rule.actor, &rule.audience), env.now)?;
    Ok(log::nothing_changed(tx)?)
}

/// Deletes a rule; tokens that were exchanged by it live on. Answers the head of the log.
///
/// # Errors
/// [`ExchangeRuleError`].
pub fn delete(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    client: &ClientId,
    audience: &ServiceId,
) -> Result<u64, ExchangeRuleError> {
    if !tx.delete_exchange_rule(client, audience)? {
        return Err(ExchangeRuleError::Unknown);
    }
    tx.append_audit(&entry(actor, "exchange_rule_deleted", client, audience), env.now)?;
    Ok(log::nothing_changed(tx)?)
}

fn entry(actor: &Actor, action: &'static str, client: &ClientId, audience: &ServiceId) -> AuditEntry {
    AuditEntry { subject: client.to_string(), service: Some(audience.to_string()), ..actor.entry(action, "ok") }
}
