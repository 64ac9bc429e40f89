//! Groups and who is in them.

use propusk_core::id::{GroupId, UserId};
use propusk_core::store::{Group, Groups, Page, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT id, created_at FROM groups WHERE id = ?1";
pub(super) const SELECT_PAGE: &str = "SELECT id, created_at FROM groups WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) const INSERT: &str = "INSERT INTO groups (id, created_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
pub(super) const DELETE: &str = "DELETE FROM groups WHERE id = ?1";
pub(super) const DELETE_MEMBERS: &str = "DELETE FROM group_members WHERE group_id = ?1";
pub(super) const DELETE_ROLES: &str = "DELETE FROM group_roles WHERE group_id = ?1";

pub(super) const SELECT_MEMBERS: &str =
    "SELECT user_id FROM group_members WHERE group_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3";
pub(super) const SELECT_OF_USER: &str = "SELECT group_id FROM group_members WHERE user_id = ?1 ORDER BY group_id";

pub(super) const ADD_MEMBER: &str = "INSERT INTO group_members (group_id, user_id) VALUES (?1, ?2)
    ON CONFLICT (group_id, user_id) DO NOTHING";
pub(super) const REMOVE_MEMBER: &str = "DELETE FROM group_members WHERE group_id = ?1 AND user_id = ?2";

impl Groups for SqliteTx<'_> {
    fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError> {
        self.one(SELECT, [id.as_str()], group)
    }

    fn groups(&self, page: &Page) -> Result<Vec<Group>, StoreError> {
        self.all(SELECT_PAGE, params![row::after(page), row::limit(page.limit)], group)
    }

    fn insert_group(&mut self, group: &Group) -> Result<bool, StoreError> {
        self.write_one(INSERT, params![group.id.as_str(), row::time(group.created_at)])
    }

    fn delete_group(&mut self, id: &GroupId) -> Result<bool, StoreError> {
        self.write(DELETE_MEMBERS, [id.as_str()])?;
        self.write(DELETE_ROLES, [id.as_str()])?;
        self.write_one(DELETE, [id.as_str()])
    }

    fn members_of_group(&self, id: &GroupId, page: &Page) -> Result<Vec<UserId>, StoreError> {
        let values = params![id.as_str(), row::after(page), row::limit(page.limit)];
        self.all(SELECT_MEMBERS, values, |columns| columns.parsed())
    }

    fn groups_of_user(&self, user: &UserId) -> Result<Vec<GroupId>, StoreError> {
        self.all(SELECT_OF_USER, [user.as_str()], |columns| columns.parsed())
    }

    fn add_member(&mut self, group: &GroupId, user: &UserId) -> Result<bool, StoreError> {
        self.write_one(ADD_MEMBER, [group.as_str(), user.as_str()])
    }

    fn remove_member(&mut self, group: &GroupId, user: &UserId) -> Result<bool, StoreError> {
        self.write_one(REMOVE_MEMBER, [group.as_str(), user.as_str()])
    }
}

fn group(columns: &mut Columns<'_>) -> rusqlite::Result<Group> {
    Ok(Group { id: columns.parsed()?, created_at: columns.time()? })
}
