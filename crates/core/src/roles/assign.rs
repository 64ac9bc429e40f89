//! Giving roles to people, clients and groups, and taking them.

use super::{Admins, Affected};
use crate::audit::Actor;
use crate::env::Env;
use crate::log;
use crate::store::{AuditEntry, Holder, RoleGrant, StoreError, Tx};

/// Why a role was neither given nor taken.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// No such user, client or group.
    #[error("no such holder")]
    UnknownHolder,
    /// The service has no such role.
    #[error("no such role")]
    UnknownRole,
    /// It is the last administrator's.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a role to a holder. Answers the position in the log to wait for: of its own event, or the head if the
/// role was held before.
///
/// # Errors
/// [`AssignError`].
pub fn give(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    holder: &Holder,
    role: &RoleGrant,
) -> Result<u64, AssignError> {
    expect_known(tx, holder, role)?;
    if !tx.give_role(holder, role)? {
        return Ok(log::nothing_changed(tx)?);
    }
    record(tx, env, actor, ["role_given", "group_role_given"], holder, role)
}

/// Takes a role from a holder; answers as [`give`].
///
/// # Errors
/// [`AssignError`].
pub fn take(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    holder: &Holder,
    role: &RoleGrant,
) -> Result<u64, AssignError> {
    expect_known(tx, holder, role)?;
    let admins = Admins::before(tx)?;
    if !tx.take_role(holder, role)? {
        return Ok(log::nothing_changed(tx)?);
    }
    if !admins.are_left(tx)? {
        return Err(AssignError::LastAdmin);
    }
    record(tx, env, actor, ["role_taken", "group_role_taken"], holder, role)
}

fn record(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    [of_subject, of_group]: [&'static str; 2],
    holder: &Holder,
    role: &RoleGrant,
) -> Result<u64, AssignError> {
    let (action, subject) = match holder {
        Holder::User(id) => (of_subject, id.to_string()),
        Holder::Client(id) => (of_subject, id.to_string()),
        Holder::Group(id) => (of_group, id.to_string()),
    };
    let entry = AuditEntry { subject, service: Some(role.service.to_string()), ..actor.entry(action, "ok") };
    tx.append_audit(&entry, env.now)?;
    Ok(Affected::by_role_of(tx, holder, &role.service)?.append(tx, env)?)
}

fn expect_known(tx: &dyn Tx, holder: &Holder, role: &RoleGrant) -> Result<(), AssignError> {
    let known = match holder {
        Holder::User(id) => tx.user(id)?.is_some(),
        Holder::Client(id) => tx.client(id)?.is_some(),
        Holder::Group(id) => tx.group(id)?.is_some(),
    };
    if !known {
        return Err(AssignError::UnknownHolder);
    }
    if !tx.role_exists(role)? {
        return Err(AssignError::UnknownRole);
    }
    Ok(())
}
