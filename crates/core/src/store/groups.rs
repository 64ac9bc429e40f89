//! Groups of people.

use super::{Page, StoreError};
use crate::env::Timestamp;
use crate::id::{GroupId, UserId};

/// A set of people. What it was given, each of its members has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, which is its id.
    pub id: GroupId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Storage of [`Group`]s and of who is in them.
pub trait Groups {
    /// By id.
    fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError>;
    /// In order of id; `page.after` is an id.
    fn groups(&self, page: &Page) -> Result<Vec<Group>, StoreError>;
    /// A new group; `false` if the id is taken (then nothing was written).
    fn insert_group(&mut self, group: &Group) -> Result<bool, StoreError>;
    /// Deletes a group with its memberships and roles; `false` if there was none.
    fn delete_group(&mut self, id: &GroupId) -> Result<bool, StoreError>;
    /// Who is in a group, in order of id; `page.after` is an id.
    fn members_of_group(&self, id: &GroupId, page: &Page) -> Result<Vec<UserId>, StoreError>;
    /// The groups that a person is in, in order of id.
    fn groups_of_user(&self, user: &UserId) -> Result<Vec<GroupId>, StoreError>;
    /// Puts a person into a group; `false` if this person was in it before.
    fn add_member(&mut self, group: &GroupId, user: &UserId) -> Result<bool, StoreError>;
    /// Takes a person out of a group; `false` if this person was not in it.
    fn remove_member(&mut self, group: &GroupId, user: &UserId) -> Result<bool, StoreError>;
}
