//! Roles within services, what they permit, and who holds them.

use super::{Page, StoreError};
use crate::id::{ClientId, GroupId, Permission, RoleName, ServiceId, Subject, UserId};

/// Who can hold a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A person.
    User(UserId),
    /// A client, for the tokens it gets for itself.
    Client(ClientId),
    /// Everybody in a group.
    Group(GroupId),
}

/// A role of one service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleGrant {
    /// The service.
    pub service: ServiceId,
    /// The role within it.
    pub role: RoleName,
}

/// What a role is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it permits by itself, in order of name.
    pub permissions: Vec<Permission>,
    /// The roles of the same service whose permissions it has too, in order of name.
    pub inherits: Vec<RoleName>,
    /// The position in the log of its last change.
    pub version: u64,
}

/// Storage of roles.
pub trait Roles {
    /// A role.
    fn role(&self, role: &RoleGrant) -> Result<Option<Role>, StoreError>;
    /// Whether a service has the role.
    fn role_exists(&self, role: &RoleGrant) -> Result<bool, StoreError>;
    /// The roles of a service, in order of name; `page.after` is a name.
    fn roles_of_service(&self, service: &ServiceId, page: &Page) -> Result<Vec<Role>, StoreError>;
    /// What a role permits by itself, in order of name.
    fn permissions_of_role(&self, role: &RoleGrant) -> Result<Vec<Permission>, StoreError>;
    /// The roles whose permissions a role has too, in order of name.
    fn inherited_by_role(&self, role: &RoleGrant) -> Result<Vec<RoleName>, StoreError>;
    /// Every role that somebody was given, in order of service and name; not those that a group brings.
    fn roles_of_holder(&self, holder: &Holder) -> Result<Vec<RoleGrant>, StoreError>;
    /// Every role that a person has through groups, with the group, in order of group, service and name.
    fn group_roles_of_user(&self, user: &UserId) -> Result<Vec<(GroupId, RoleGrant)>, StoreError>;
    /// Whether somebody can come and use a role that they were given, or that a group of theirs was: a person who has a
    /// password and is not disabled, or a client that is not disabled and may get tokens for itself for that service.
    fn has_active_holder(&self, role: &RoleGrant) -> Result<bool, StoreError>;
    /// Up to `limit` of those who have a role, groups resolved to their members; in no order, and who has it in
    /// several ways may come several times.
    fn subjects_of_role(&self, role: &RoleGrant, limit: usize) -> Result<Vec<Subject>, StoreError>;
    /// Makes a role of a service, or replaces what it is made of. What it inherits must be there.
    fn put_role(&mut self, service: &ServiceId, role: &Role) -> Result<(), StoreError>;
    /// Deletes a role: nobody holds or inherits it any more. `false` if there was none.
    fn delete_role(&mut self, role: &RoleGrant) -> Result<bool, StoreError>;
    /// Gives a role; `false` if it was held before.
    fn give_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError>;
    /// Takes a role; `false` if it was not held.
    fn take_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError>;
}
