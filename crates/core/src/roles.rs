//! Who holds which roles, and what they permit.

use std::collections::BTreeSet;

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{Permission, RoleName, ServiceId, Subject};
use crate::log::{self, Change};
use crate::store::{AuditEntry, Holder, RoleGrant, StoreError, Tx};

/// The authority itself, as a service of its own: the audience of the admin API.
pub const AUTHORITY_SERVICE: &str = "propusk";
/// The role of [`AUTHORITY_SERVICE`] that may do everything.
pub const ADMIN_ROLE: &str = "admin";

impl From<Subject> for Holder {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::User(id) => Self::User(id),
            Subject::Client(id) => Self::Client(id),
        }
    }
}

impl Holder {
    /// The holder as the subject of its tokens.
    pub fn subject(&self) -> Subject {
        match self {
            Self::User(id) => Subject::User(id.clone()),
            Self::Client(id) => Subject::Client(id.clone()),
        }
    }
}

/// What a holder may do at one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// In order of name.
    pub roles: Vec<RoleName>,
    /// In order of name, each once.
    pub permissions: Vec<Permission>,
}

/// The roles of a holder at one service, and what they permit.
///
/// # Errors
/// When the store fails.
pub fn effective(tx: &dyn Tx, holder: &Holder, service: &ServiceId) -> Result<Effective, StoreError> {
    let mut roles = Vec::new();
    let mut permissions = BTreeSet::new();
    for grant in tx.roles_of_holder(holder)?.into_iter().filter(|grant| grant.service == *service) {
        permissions.extend(tx.permissions_of_role(&grant)?);
        roles.push(grant.role);
    }
    Ok(Effective { roles, permissions: permissions.into_iter().collect() })
}

/// What each role of a service permits.
///
/// # Errors
/// When the store fails.
pub fn policy_table(tx: &dyn Tx, service: &ServiceId) -> Result<Vec<(RoleName, Vec<Permission>)>, StoreError> {
    let mut table = Vec::new();
    for role in tx.roles_of_service(service)? {
        let grant = RoleGrant { service: service.clone(), role };
        let permissions = tx.permissions_of_role(&grant)?;
        table.push((grant.role, permissions));
    }
    Ok(table)
}

/// Why a role was neither given nor taken.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// No such user or client.
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
/// [`RoleError`].
pub fn give(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, holder: &Holder, role: &RoleGrant) -> Result<u64, RoleError> {
    expect_known(tx, holder, role)?;
    if !tx.give_role(holder, role)? {
        return Ok(log::nothing_changed(tx)?);
    }
    record(tx, env, actor, "role_given", holder, role)
}

/// Takes a role from a holder; answers as [`give`].
///
/// # Errors
/// [`RoleError`].
pub fn take(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, holder: &Holder, role: &RoleGrant) -> Result<u64, RoleError> {
    expect_known(tx, holder, role)?;
    let is_active = is_active(tx, holder)?;
    if !tx.take_role(holder, role)? {
        return Ok(log::nothing_changed(tx)?);
    }
    if is_active && is_admin_role(role) && tx.count_active_holders(role)? == 0 {
        return Err(RoleError::LastAdmin);
    }
    record(tx, env, actor, "role_taken", holder, role)
}

fn record(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    action: &'static str,
    holder: &Holder,
    role: &RoleGrant,
) -> Result<u64, RoleError> {
    let subject = holder.subject();
    let entry = AuditEntry {
        subject: subject.to_string(),
        service: Some(role.service.to_string()),
        ..actor.entry(action, "ok")
    };
    tx.append_audit(&entry, env.now)?;
    Ok(log::append(tx, env, &Change::SubjectChanged(subject))?)
}

fn expect_known(tx: &dyn Tx, holder: &Holder, role: &RoleGrant) -> Result<(), RoleError> {
    let known = match holder {
        Holder::User(id) => tx.user(id)?.is_some(),
        Holder::Client(id) => tx.client(id)?.is_some(),
    };
    if !known {
        return Err(RoleError::UnknownHolder);
    }
    if !tx.role_exists(role)? {
        return Err(RoleError::UnknownRole);
    }
    Ok(())
}

fn is_active(tx: &dyn Tx, holder: &Holder) -> Result<bool, StoreError> {
    Ok(match holder {
        Holder::User(id) => tx.user(id)?.is_some_and(|user| !user.disabled),
        Holder::Client(id) => tx.client(id)?.is_some_and(|client| !client.disabled),
    })
}

fn is_admin_role(role: &RoleGrant) -> bool {
    role.service.as_str() == AUTHORITY_SERVICE && role.role.as_str() == ADMIN_ROLE
}

/// The administrator's role, as a grant.
#[expect(clippy::expect_used, reason = "both names are constants that are names")]
pub fn admin_role() -> RoleGrant {
    RoleGrant { service: AUTHORITY_SERVICE.parse().expect("a service id"), role: ADMIN_ROLE.parse().expect("a role") }
}

/// Whether disabling or deleting `holder` would leave nobody who administers.
///
/// # Errors
/// When the store fails.
pub fn is_last_admin(tx: &dyn Tx, holder: &Holder) -> Result<bool, StoreError> {
    let admin = admin_role();
    let holds = tx.roles_of_holder(holder)?.contains(&admin);
    Ok(holds && is_active(tx, holder)? && tx.count_active_holders(&admin)? == 1)
}
