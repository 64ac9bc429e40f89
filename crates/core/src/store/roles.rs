//! Roles within services, what they permit, and who holds them.

use super::StoreError;
use crate::id::{ClientId, Permission, RoleName, ServiceId, UserId};

/// Who can hold a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A person.
    User(UserId),
    /// A client, for the tokens it gets for itself.
    Client(ClientId),
}

/// A role of one service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleGrant {
    /// The service.
    pub service: ServiceId,
    /// The role within it.
    pub role: RoleName,
}

/// Storage of roles.
pub trait Roles {
    /// Whether a service has the role.
    fn role_exists(&self, role: &RoleGrant) -> Result<bool, StoreError>;
    /// The roles of a service, in order of name.
    fn roles_of_service(&self, service: &ServiceId) -> Result<Vec<RoleName>, StoreError>;
    /// What a role permits, in order of name.
    fn permissions_of_role(&self, role: &RoleGrant) -> Result<Vec<Permission>, StoreError>;
    /// Every role that somebody holds, in order of service and name.
    fn roles_of_holder(&self, holder: &Holder) -> Result<Vec<RoleGrant>, StoreError>;
    /// How many people and clients that are not disabled hold a role.
    fn count_active_holders(&self, role: &RoleGrant) -> Result<usize, StoreError>;
    /// Makes a role, or replaces what it permits.
    fn put_role(&mut self, role: &RoleGrant, permissions: &[Permission]) -> Result<(), StoreError>;
    /// Gives a role; `false` if it was held before.
    fn give_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError>;
    /// Takes a role; `false` if it was not held.
    fn take_role(&mut self, holder: &Holder, role: &RoleGrant) -> Result<bool, StoreError>;
}
