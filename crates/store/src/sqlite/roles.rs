//! Roles, what they are made of and who holds them: people, clients and groups in a table each.

use propusk_core::id::{GroupId, Permission, RoleName, ServiceId, Subject, UserId};
use propusk_core::store::{Holder, Page, Role, RoleGrant, Roles, StoreError};
use rusqlite::params;

use super::row::{self, Columns, Int};
use super::transaction::SqliteTx;

pub(super) const SELECT_VERSION: &str = "SELECT version FROM roles WHERE service = ?1 AND role = ?2";

pub(super) const SELECT_OF_SERVICE: &str =
    "SELECT role, version FROM roles WHERE service = ?1 AND role > ?2 ORDER BY role LIMIT ?3";

pub(super) const SELECT_PERMISSIONS: &str =
    "SELECT permission FROM role_permissions WHERE service = ?1 AND role = ?2 ORDER BY permission";

pub(super) const SELECT_INHERITED: &str =
    "SELECT inherits FROM role_inherits WHERE service = ?1 AND role = ?2 ORDER BY inherits";

pub(super) const SELECT_OF_USER: &str =
    "SELECT service, role FROM user_roles WHERE user_id = ?1 ORDER BY service, role";
pub(super) const SELECT_OF_CLIENT: &str =
    "SELECT service, role FROM client_roles WHERE client_id = ?1 ORDER BY service, role";
pub(super) const SELECT_OF_GROUP: &str =
    "SELECT service, role FROM group_roles WHERE group_id = ?1 ORDER BY service, role";

/// In no order: few rows, which are sorted faster here than there.
pub(super) const SELECT_GROUP_ROLES_OF_USER: &str = "SELECT group_roles.group_id, service, role
    FROM group_members JOIN group_roles ON group_roles.group_id = group_members.group_id WHERE user_id = ?1";

/// Lists of a client are JSON arrays of names in which there are no quotes.
pub(super) const HAS_ACTIVE_HOLDER: &str = r#"SELECT
    EXISTS (SELECT 1 FROM user_roles JOIN users ON users.id = user_id
        WHERE service = ?1 AND role = ?2 AND NOT disabled AND password_hash IS NOT NULL)
    OR EXISTS (SELECT 1 FROM client_roles JOIN clients ON clients.id = client_id
        WHERE service = ?1 AND role = ?2 AND NOT disabled AND secret IS NOT NULL
        AND instr(grant_types, '"client_credentials"') > 0 AND instr(audiences, '"' || ?1 || '"') > 0)
    OR EXISTS (SELECT 1 FROM group_roles JOIN group_members ON group_members.group_id = group_roles.group_id
        JOIN users ON users.id = user_id
        WHERE service = ?1 AND role = ?2 AND NOT disabled AND password_hash IS NOT NULL)"#;

pub(super) const SELECT_USERS: &str = "SELECT user_id FROM user_roles WHERE service = ?1 AND role = ?2 LIMIT ?3";
pub(super) const SELECT_CLIENTS: &str = "SELECT client_id FROM client_roles WHERE service = ?1 AND role = ?2 LIMIT ?3";
pub(super) const SELECT_MEMBERS: &str = "SELECT user_id
    FROM group_roles JOIN group_members ON group_members.group_id = group_roles.group_id
    WHERE service = ?1 AND role = ?2 LIMIT ?3";

pub(super) const PUT: &str = "INSERT INTO roles (service, role, version) VALUES (?1, ?2, ?3)
    ON CONFLICT (service, role) DO UPDATE SET version = excluded.version";
pub(super) const DELETE: &str = "DELETE FROM roles WHERE service = ?1 AND role = ?2";

pub(super) const DELETE_PERMISSIONS: &str = "DELETE FROM role_permissions WHERE service = ?1 AND role = ?2";
pub(super) const INSERT_PERMISSION: &str = "INSERT INTO role_permissions (service, role, permission)
    VALUES (?1, ?2, ?3) ON CONFLICT (service, role, permission) DO NOTHING";

pub(super) const DELETE_INHERITED: &str = "DELETE FROM role_inherits WHERE service = ?1 AND role = ?2";
pub(super) const DELETE_HEIRS: &str = "DELETE FROM role_inherits WHERE service = ?1 AND inherits = ?2";
pub(super) const INSERT_INHERITED: &str = "INSERT INTO role_inherits (service, role, inherits)
    VALUES (?1, ?2, ?3) ON CONFLICT (service, role, inherits) DO NOTHING";

pub(super) const GIVE_USER: &str = "INSERT INTO user_roles (user_id, service, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (user_id, service, role) DO NOTHING";
pub(super) const GIVE_CLIENT: &str = "INSERT INTO client_roles (client_id, service, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (client_id, service, role) DO NOTHING";
pub(super) const GIVE_GROUP: &str = "INSERT INTO group_roles (group_id, service, role) VALUES (?1, ?2, ?3)
    ON CONFLICT (group_id, service, role) DO NOTHING";

pub(super) const TAKE_USER: &str = "DELETE FROM user_roles WHERE user_id = ?1 AND service = ?2 AND role = ?3";
pub(super) const TAKE_CLIENT: &str = "DELETE FROM client_roles WHERE client_id = ?1 AND service = ?2 AND role = ?3";
pub(super) const TAKE_GROUP: &str = "DELETE FROM group_roles WHERE group_id = ?1 AND service = ?2 AND role = ?3";

pub(super) const TAKE_FROM_USERS: &str = "DELETE FROM user_roles WHERE service = ?1 AND role = ?2";
pub(super) const TAKE_FROM_CLIENTS: &str = "DELETE FROM client_roles WHERE service = ?1 AND role = ?2";
pub(super) const TAKE_FROM_GROUPS: &str = "DELETE FROM group_roles WHERE service = ?1 AND role = ?2";

impl Roles for SqliteTx<'_> {
    fn role(&self, role: &RoleGrant) -> Result<Option<Role>, StoreError> {
        match self.one(SELECT_VERSION, names(role), |columns| columns.number())? {
            Some(version) => self.whole_role(role.clone(), version).map(Some),
            None => Ok(None),
        }
    }

    fn role_exists(&self, role: &RoleGrant) -> Result<bool, StoreError> {
        self.one(SELECT_VERSION, names(role), |_| Ok(())).map(|found| found.is_some())
    }

    fn roles_of_service(&self, service: &ServiceId, page: &Page) -> Result<Vec<Role>, StoreError> {
        let found: Vec<(RoleName, u64)> = self.all(
            SELECT_OF_SERVICE,
            params![service.as_str(), row::after(page), row::limit(page.limit)],
            |columns| Ok((columns.parsed()?, columns.number()?)),
        )?;
        let whole = |(role, version)| self.whole_role(RoleGrant { service: service.clone(), role }, version);
        found.into_iter().map(whole).collect()
    }

    fn permissions_of_role(&self, role: &RoleGrant) -> Result<Vec<Permission>, StoreError> {
        self.all(SELECT_PERMISSIONS, names(role), |columns| columns.parsed())
    }

    fn inherited_by_role(&self, role: &RoleGrant) -> Result<Vec<RoleName>, StoreError> {
        self.all(SELECT_INHERITED, names(role), |columns| columns.parsed())
    }

    fn roles_of_holder(&self, holder: &Holder) -> Result<Vec<RoleGrant>, StoreError> {
        match holder {
            Holder::User(id) => self.all(SELECT_OF_USER, [id.as_str()], grant),
            Holder::Client(id) => {
                self.kept(|rows| &mut rows.roles_of_clients, id, || self.all(SELECT_OF_CLIENT, [id.as_str()], grant))
            }
            Holder::Group(id) => self.all(SELECT_OF_GROUP, [id.as_str()], grant),
        }
    }

    fn group_roles_of_user(&self, user: &UserId) -> Result<Vec<(GroupId, RoleGrant)>, StoreError> {
        let mut found =
            self.all(SELECT_GROUP_ROLES_OF_USER, [user.as_str()], |columns| Ok((columns.parsed()?, grant(columns)?)))?;
        found.sort();
        Ok(found)
    }

    fn has_active_holder(&self, role: &RoleGrant) -> Result<bool, StoreError> {
        self.one(HAS_ACTIVE_HOLDER, names(role), |columns| columns.get()).map(Option::unwrap_or_default)
    }

    fn subjects_of_role(&self, role: &RoleGrant, limit: usize) -> Result<Vec<Subject>, StoreError> {
        let [service, name] = names(role);
        let mut found = Vec::new();
        for sql in [SELECT_USERS, SELECT_CLIENTS, SELECT_MEMBERS] {
            let left = row::limit(limit.saturating_sub(found.len()));
            found.extend(self.all(sql, params![service, name, left], |columns| columns.parsed::<Subject>())?);
        }
        Ok(found)
    }

    fn put_role(&mut self, service: &ServiceId, role: &Role) -> Result<(), StoreError> {
        let [service, name] = [service.as_str(), role.name.as_str()];
        self.write(PUT, params![service, name, Int(role.version)])?;
        self.write(DELETE_PERMISSIONS, [service, name])?;
        for permission in &role.permissions {
            self.write(INSERT_PERMISSION, [service, name, permission.as_str()])?;
        }
        self.write(DELETE_INHERITED, [service, name])?;
        for inherited in &role.inherits {
            self.write(INSERT_INHERITED, [service, name, inherited.as_str()])?;
        }
        Ok(())
    }

    fn delete_role(&mut self, role: &RoleGrant) -> Result<bool, StoreError> {
        let parts =
            [TAKE_FROM_USERS, TAKE_FROM_CLIENTS, TAKE_FROM_GROUPS, DELETE_HEIRS, DELETE_INHERITED, DELETE_PERMISSIONS];
        for sql in parts {
            self.write(sql, names(role))?;
        }
        self.write_one(DELETE, names(role))
    }

    fn give_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError> {
        let [service, name] = names(role);
        match holder {
            Holder::User(id) => self.write_one(GIVE_USER, [id.as_str(), service, name]),
            Holder::Client(id) => self.write_one(GIVE_CLIENT, [id.as_str(), service, name]),
            Holder::Group(id) => self.write_one(GIVE_GROUP, [id.as_str(), service, name]),
        }
    }

    fn take_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError> {
        let [service, name] = names(role);
        match holder {
            Holder::User(id) => self.write_one(TAKE_USER, [id.as_str(), service, name]),
            Holder::Client(id) => self.write_one(TAKE_CLIENT, [id.as_str(), service, name]),
            Holder::Group(id) => self.write_one(TAKE_GROUP, [id.as_str(), service, name]),
        }
    }
}

impl SqliteTx<'_> {
    fn whole_role(&self, role: RoleGrant, version: u64) -> Result<Role, StoreError> {
        let (permissions, inherits) = (self.permissions_of_role(&role)?, self.inherited_by_role(&role)?);
        Ok(Role { name: role.role, permissions, inherits, version })
    }
}

fn names(role: &RoleGrant) -> [&str; 2] {
    [role.service.as_str(), role.role.as_str()]
}

fn grant(columns: &mut Columns<'_>) -> rusqlite::Result<RoleGrant> {
    Ok(RoleGrant { service: columns.parsed()?, role: columns.parsed()? })
}
