//! Administrators: somebody has to be left who can give the role again.

use super::hierarchy::RoleTable;
use crate::id::RoleName;
use crate::store::{RoleGrant, StoreError, Tx};

/// The authority itself, as a service of its own: the audience of the admin API.
pub const AUTHORITY_SERVICE: &str = "propusk";
/// The role of [`AUTHORITY_SERVICE`] that may do everything.
pub const ADMIN_ROLE: &str = "admin";
/// What the admin API demands, and so what that role has to permit.
const ADMIN_PERMISSION: &str = "propusk:*";

/// The administrator's role, as a grant.
#[expect(clippy::expect_used, reason = "both names are constants that are names")]
pub fn admin_role() -> RoleGrant {
    RoleGrant { service: AUTHORITY_SERVICE.parse().expect("a service id"), role: ADMIN_ROLE.parse().expect("a role") }
}

/// Whether there were administrators before a change. Directly, through a group or by inheritance does not matter.
#[derive(Debug, Clone, Copy)]
#[must_use = "ask it whether some are left"]
pub(crate) struct Admins {
    were_there: bool,
}

impl Admins {
    /// To be asked before the change is made.
    pub(crate) fn before(tx: &dyn Tx) -> Result<Self, StoreError> {
        Ok(Self { were_there: are_there(tx)? })
    }

    /// Whether the change may be committed: it did not take the last of them.
    pub(crate) fn are_left(self, tx: &dyn Tx) -> Result<bool, StoreError> {
        Ok(!self.were_there || are_there(tx)?)
    }
}

fn are_there(tx: &dyn Tx) -> Result<bool, StoreError> {
    let RoleGrant { service, role: admin } = admin_role();
    let table = RoleTable::read(tx, &service)?;
    let permits = table.permissions(&admin).iter().any(|permission| permission.as_str() == ADMIN_PERMISSION);
    if !permits {
        return Ok(false);
    }
    for role in roles_with(&table, &admin) {
        if tx.has_active_holder(&RoleGrant { service: service.clone(), role })? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The role itself and those that inherit it.
fn roles_with(table: &RoleTable, wanted: &RoleName) -> Vec<RoleName> {
    table.names().filter(|name| table.closure(name).contains(wanted)).cloned().collect()
}
