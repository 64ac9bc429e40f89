//! Roles, what they permit and who holds them: people and clients in a table each.

use propusk_core::id::{Permission, RoleName, ServiceId};
use propusk_core::store::{Holder, RoleGrant, Roles, StoreError};

use super::row::Columns;
use super::transaction::SqliteTx;

pub(super) const EXISTS: &str = "SELECT 1 FROM roles WHERE service = ?1 AND role = ?2";

pub(super) const SELECT_OF_SERVICE: &str = "SELECT role FROM roles WHERE service = ?1 ORDER BY role";

pub(super) const SELECT_PERMISSIONS: &str =
    "SELECT permission FROM role_permissions WHERE service = ?1 AND role = ?2 ORDER BY permission";

pub(super) const SELECT_OF_USER: &str =
    "SELECT service, role FROM user_roles WHERE user_id = ?1 ORDER BY service, role";
pub(super) const SELECT_OF_CLIENT: &str =
    "SELECT service, role FROM client_roles WHERE client_id = ?1 ORDER BY service, role";

pub(super) const COUNT_ACTIVE_HOLDERS: &str = "SELECT
    (SELECT count(*) FROM user_roles JOIN users ON users.id = user_id
        WHERE service = ?1 AND role = ?2 AND NOT disabled)
    + (SELECT count(*) FROM client_roles JOIN clients ON clients.id = client_id
        WHERE service = ?1 AND role = ?2 AND NOT disabled)";

pub(super) const INSERT: &str =
    "INSERT INTO roles (service, role) VALUES (?1, ?2) ON CONFLICT (service, role) DO NOTHING";

pub(super) const DELETE_PERMISSIONS: &str = "DELETE FROM role_permissions WHERE service = ?1 AND role = ?2";

pub(super) const INSERT_PERMISSION: &str = "INSERT INTO role_permissions (service, role, permission)
    VALUES (?1, ?2, ?3) ON CONFLICT (service, role, permission) DO NOTHING";

pub(super) const GIVE_USER: &str = "INSERT INTO user_roles (user_id, service, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (user_id, service, role) DO NOTHING";
pub(super) const GIVE_CLIENT: &str = "INSERT INTO client_roles (client_id, service, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (client_id, service, role) DO NOTHING";

pub(super) const TAKE_USER: &str = "DELETE FROM user_roles WHERE user_id = ?1 AND service = ?2 AND role = ?3";
pub(super) const TAKE_CLIENT: &str = "DELETE FROM client_roles WHERE client_id = ?1 AND service = ?2 AND role = ?3";

impl Roles for SqliteTx<'_> {
    fn role_exists(&self, role: &RoleGrant) -> Result<bool, StoreError> {
        self.one(EXISTS, names(role), |_| Ok(())).map(|found| found.is_some())
    }

    fn roles_of_service(&self, service: &ServiceId) -> Result<Vec<RoleName>, StoreError> {
        self.all(SELECT_OF_SERVICE, [service.as_str()], |columns| columns.parsed())
    }

    fn permissions_of_role(&self, role: &RoleGrant) -> Result<Vec<Permission>, StoreError> {
        self.all(SELECT_PERMISSIONS, names(role), |columns| columns.parsed())
    }

    fn roles_of_holder(&self, holder: &Holder) -> Result<Vec<RoleGrant>, StoreError> {
        match holder {
            Holder::User(id) => self.all(SELECT_OF_USER, [id.as_str()], grant),
            Holder::Client(id) => self.all(SELECT_OF_CLIENT, [id.as_str()], grant),
        }
    }

    fn count_active_holders(&self, role: &RoleGrant) -> Result<usize, StoreError> {
        self.one(COUNT_ACTIVE_HOLDERS, names(role), |columns| columns.count()).map(Option::unwrap_or_default)
    }

    fn put_role(&mut self, role: &RoleGrant, permissions: &[Permission]) -> Result<(), StoreError> {
        let [service, name] = names(role);
        self.write(INSERT, [service, name])?;
        self.write(DELETE_PERMISSIONS, [service, name])?;
        for permission in permissions {
            self.write(INSERT_PERMISSION, [service, name, permission.as_str()])?;
        }
        Ok(())
    }

    fn give_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError> {
        let [service, name] = names(role);
        match holder {
            Holder::User(id) => self.write_one(GIVE_USER, [id.as_str(), service, name]),
            Holder::Client(id) => self.write_one(GIVE_CLIENT, [id.as_str(), service, name]),
        }
    }

    fn take_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError> {
        let [service, name] = names(role);
        match holder {
            Holder::User(id) => self.write_one(TAKE_USER, [id.as_str(), service, name]),
            Holder::Client(id) => self.write_one(TAKE_CLIENT, [id.as_str(), service, name]),
        }
    }
}

fn names(role: &RoleGrant) -> [&str; 2] {
    [role.service.as_str(), role.role.as_str()]
}

fn grant(columns: &mut Columns<'_>) -> rusqlite::Result<RoleGrant> {
    Ok(RoleGrant { service: columns.parsed()?, role: columns.parsed()? })
}
