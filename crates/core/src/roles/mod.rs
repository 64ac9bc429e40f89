//! Roles of services: what they are made of, who has them, and what they permit.
//!
//! A role permits what it says itself and what the roles permit that it inherits, all of one service. People and
//! clients have the roles that they were given; people also those of their groups. Tokens carry the names of these
//! roles, not of inherited ones: what a name permits, verifiers are told by `policy_changed`, so a change of that works
//! at once in tokens that are out.

mod admins;
mod affected;
mod assign;
mod define;
mod hierarchy;
mod why;

pub(crate) use admins::Admins;
pub use admins::{ADMIN_ROLE, AUTHORITY_SERVICE, admin_role};
pub(crate) use affected::Affected;
pub use assign::{AssignError, give, take};
pub use define::{DefineError, Definition, delete, ensure, forbid, permit, put};
pub use hierarchy::{Cycle, RoleTable};
pub use why::{Step, Why, why};

use std::collections::BTreeSet;

use crate::id::{Permission, RoleName, ServiceId, Subject};
use crate::store::{Holder, RoleGrant, StoreError, Tx};

impl From<Subject> for Holder {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::User(id) => Self::User(id),
            Subject::Client(id) => Self::Client(id),
        }
    }
}

/// What a subject may do at one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// In order of name.
    pub roles: Vec<RoleName>,
    /// In order of name, each once.
    pub permissions: Vec<Permission>,
}

/// Every role of a subject, its own and its groups', each once and in order of service and name.
///
/// # Errors
/// When the store fails.
pub fn held(tx: &dyn Tx, subject: &Subject) -> Result<Vec<RoleGrant>, StoreError> {
    let mut held = tx.roles_of_holder(&Holder::from(subject.clone()))?;
    if let Subject::User(id) = subject {
        held.extend(tx.group_roles_of_user(id)?.into_iter().map(|(_, role)| role));
        held.sort();
        held.dedup();
    }
    Ok(held)
}

/// The roles of a subject at one service, in order of name: what its tokens carry.
///
/// # Errors
/// When the store fails.
pub fn held_at(tx: &dyn Tx, subject: &Subject, service: &ServiceId) -> Result<Vec<RoleName>, StoreError> {
    let held = held(tx, subject)?.into_iter();
    Ok(held.filter(|grant| grant.service == *service).map(|grant| grant.role).collect())
}

/// The roles of a subject at one service, and what they permit.
///
/// # Errors
/// When the store fails.
pub fn effective(tx: &dyn Tx, subject: &Subject, service: &ServiceId) -> Result<Effective, StoreError> {
    let roles = held_at(tx, subject, service)?;
    let (mut left, mut seen) = (roles.clone(), BTreeSet::new());
    let mut permissions = BTreeSet::new();
    while let Some(role) = left.pop() {
        if !seen.insert(role.clone()) {
            continue;
        }
        let grant = RoleGrant { service: service.clone(), role };
        permissions.extend(tx.permissions_of_role(&grant)?);
        left.extend(tx.inherited_by_role(&grant)?);
    }
    Ok(Effective { roles, permissions: permissions.into_iter().collect() })
}

/// What each role of a service permits, by itself or by what it inherits.
///
/// # Errors
/// When the store fails.
pub fn policy_table(tx: &dyn Tx, service: &ServiceId) -> Result<Vec<(RoleName, Vec<Permission>)>, StoreError> {
    Ok(RoleTable::read(tx, service)?.flattened())
}
