//! Making, changing and deleting the roles of a service.

use super::hierarchy::{Cycle, RoleTable};
use super::{Admins, Affected};
use crate::audit::Actor;
use crate::env::Env;
use crate::id::{Permission, RoleName};
use crate::log::{self, Change};
use crate::store::{AuditEntry, Role, RoleGrant, StoreError, Tx};
use crate::version::Expected;

/// What a role is to be made of, in whatever order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// What it permits by itself.
    pub permissions: Vec<Permission>,
    /// The roles of the same service whose permissions it has too.
    pub inherits: Vec<RoleName>,
}

/// Why a role was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum DefineError {
    /// There is no such service.
    #[error("no such service")]
    UnknownService,
    /// The service has no such role.
    #[error("no such role")]
    UnknownRole,
    /// It would inherit a role that the service does not have.
    #[error("there is no role {0} to inherit")]
    UnknownInherited(RoleName),
    /// It would inherit itself.
    #[error(transparent)]
    Cycle(#[from] Cycle),
    /// It is not what the author of the change saw.
    #[error("the role was changed meanwhile")]
    Changed,
    /// Nobody would administer any more.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a role of a service, or replaces what it is made of. Answers the position in the log to wait for.
///
/// # Errors
/// [`DefineError`].
pub fn put(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    role: &RoleGrant,
    mut definition: Definition,
    expected: &Expected,
) -> Result<u64, DefineError> {
    if tx.service(&role.service)?.is_none() {
        return Err(DefineError::UnknownService);
    }
    let before = tx.role(role)?;
    if !expected.allows(before.as_ref().map(|role| role.version)) {
        return Err(DefineError::Changed);
    }
    definition.permissions.sort();
    definition.permissions.dedup();
    definition.inherits.sort();
    definition.inherits.dedup();
    let Definition { permissions, inherits } = definition;
    if before.is_some_and(|role| role.permissions == permissions && role.inherits == inherits) {
        return Ok(log::nothing_changed(tx)?);
    }
    replace(tx, env, actor, role, Role { name: role.role.clone(), permissions, inherits, version: 0 })
}

/// Makes a role unless the service has one of this name.
///
/// # Errors
/// [`DefineError`].
pub fn ensure(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    role: &RoleGrant,
    definition: Definition,
) -> Result<(), DefineError> {
    if tx.role_exists(role)? {
        return Ok(());
    }
    put(tx, env, actor, role, definition, &Expected::Anything).map(|_| ())
}

/// Lets a role permit one thing more. Answers as [`put`].
///
/// # Errors
/// [`DefineError`].
pub fn permit(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    role: &RoleGrant,
    permission: &Permission,
    expected: &Expected,
) -> Result<u64, DefineError> {
    let mut definition = definition_of(tx, role, expected)?;
    definition.permissions.push(permission.clone());
    put(tx, env, actor, role, definition, expected)
}

/// Lets a role permit one thing less; what it inherits is not touched. Answers as [`put`].
///
/// # Errors
/// [`DefineError`].
pub fn forbid(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    role: &RoleGrant,
    permission: &Permission,
    expected: &Expected,
) -> Result<u64, DefineError> {
    let mut definition = definition_of(tx, role, expected)?;
    definition.permissions.retain(|own| own != permission);
    put(tx, env, actor, role, definition, expected)
}

/// Deletes a role: nobody has it any more, and no other role inherits it. Answers the position in the log to wait for.
///
/// # Errors
/// [`DefineError`].
pub fn delete(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    role: &RoleGrant,
    expected: &Expected,
) -> Result<u64, DefineError> {
    let found = tx.role(role)?.ok_or(DefineError::UnknownRole)?;
    if !expected.allows(Some(found.version)) {
        return Err(DefineError::Changed);
    }
    let (admins, affected) = (Admins::before(tx)?, Affected::by_role(tx, role)?);
    tx.delete_role(role)?;
    if !admins.are_left(tx)? {
        return Err(DefineError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "role_deleted", role), env.now)?;
    let policy = log::append(tx, env, &Change::PolicyChanged(role.service.clone()))?;
    Ok(affected.append(tx, env)?.max(policy))
}

fn definition_of(tx: &dyn Tx, role: &RoleGrant, expected: &Expected) -> Result<Definition, DefineError> {
    let found = tx.role(role)?.ok_or(DefineError::UnknownRole)?;
    if !expected.allows(Some(found.version)) {
        return Err(DefineError::Changed);
    }
    Ok(Definition { permissions: found.permissions, inherits: found.inherits })
}

fn replace(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    grant: &RoleGrant,
    mut role: Role,
) -> Result<u64, DefineError> {
    let mut table = RoleTable::read(tx, &grant.service)?;
    let unknown = role.inherits.iter().find(|name| **name != role.name && table.get(name).is_none());
    if let Some(unknown) = unknown {
        return Err(DefineError::UnknownInherited(unknown.clone()));
    }
    table.put(role.clone())?;
    let admins = Admins::before(tx)?;
    // The place that its event will have: no two versions of a role of this name are ever the same.
    role.version = tx.log_state()?.head + 1;
    tx.put_role(&grant.service, &role)?;
    if !admins.are_left(tx)? {
        return Err(DefineError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "role_put", grant), env.now)?;
    Ok(log::append(tx, env, &Change::PolicyChanged(grant.service.clone()))?)
}

fn entry(actor: &Actor, action: &'static str, role: &RoleGrant) -> AuditEntry {
    AuditEntry { subject: role.role.to_string(), service: Some(role.service.to_string()), ..actor.entry(action, "ok") }
}
