//! Why somebody may do something: from the person over a group, roles and what they inherit to the permission.

use std::collections::BTreeMap;

use propusk_verify::permits;

use super::hierarchy::RoleTable;
use crate::id::{GroupId, Permission, RoleName, ServiceId, UserId};
use crate::store::{Holder, Role, RoleGrant, StoreError, Tx};

/// One stop on the way to a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The person.
    User(UserId),
    /// A group that the person is in.
    Group(GroupId),
    /// A role that was given to the stop before, or that the role before inherits.
    Role(RoleGrant),
    /// What that role permits; it covers what was asked about.
    Permission(Permission),
}

/// Every way by which a person has a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// One way, a shortest, for each role that was given to the person or one of the person's groups.
    pub ways: Vec<Vec<Step>>,
}

/// How a person comes to a permission; `service` is the one at which it counts, `None` asks about all.
///
/// # Errors
/// When the store fails.
pub fn why(
    tx: &dyn Tx,
    user: &UserId,
    permission: &Permission,
    service: Option<&ServiceId>,
) -> Result<Why, StoreError> {
    let own = tx.roles_of_holder(&Holder::User(user.clone()))?.into_iter().map(|role| (None, role));
    let through = tx.group_roles_of_user(user)?.into_iter().map(|(group, role)| (Some(group), role));
    let (mut tables, mut ways) = (BTreeMap::new(), Vec::new());
    for (group, role) in own.chain(through).filter(|(_, role)| service.is_none_or(|wanted| role.service == *wanted)) {
        if !tables.contains_key(&role.service) {
            tables.insert(role.service.clone(), RoleTable::read(tx, &role.service)?);
        }
        let Some(table) = tables.get(&role.service) else { continue };
        if let Some(rest) = way(table, &role, permission) {
            let start = [Some(Step::User(user.clone())), group.map(Step::Group)];
            ways.push(start.into_iter().flatten().chain(rest).collect());
        }
    }
    Ok(Why { ways })
}

fn way(table: &RoleTable, from: &RoleGrant, permission: &Permission) -> Option<Vec<Step>> {
    let covering =
        |role: &Role| role.permissions.iter().find(|own| permits(&[own.to_string()], permission.as_str())).cloned();
    let roles = table.way(&from.role, |role| covering(role).is_some())?;
    let last = roles.last().and_then(|name| table.get(name)).and_then(covering)?;
    let step = |role: RoleName| Step::Role(RoleGrant { service: from.service.clone(), role });
    Some(roles.into_iter().map(step).chain([Step::Permission(last)]).collect())
}
