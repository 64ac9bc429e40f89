//! People.

use propusk_core::id::UserId;
use propusk_core::store::{Page, StoreError, User, Users};
use rusqlite::params;

use super::row::{self, Columns, Int};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str =
    "SELECT id, username, email, password_hash, disabled, ended_seq, created_at, version FROM users WHERE id = ?1";

pub(super) const SELECT_BY_USERNAME: &str = "SELECT id, username, email, password_hash, disabled, ended_seq, created_at, version FROM users WHERE username = ?1";

pub(super) const SELECT_PAGE: &str =
    "SELECT id, username, email, password_hash, disabled, ended_seq, created_at, version
    FROM users WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) const INSERT: &str =
    "INSERT INTO users (id, username, email, password_hash, disabled, ended_seq, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (username) DO NOTHING";

pub(super) const UPDATE: &str = "UPDATE users SET email = ?2, password_hash = ?3, disabled = ?4, ended_seq = ?5, version = version + 1 WHERE id = ?1";

pub(super) const RENEW_PASSWORD_HASH: &str = "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";

pub(super) const RENAME: &str = "UPDATE OR IGNORE users SET username = ?2, version = version + 1 WHERE id = ?1";

impl Users for SqliteTx<'_> {
    fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.one(SELECT, [id.as_str()], user)
    }

    fn user_by_username(&self, username: &str) -> Result<Option<User>, StoreError> {
        self.one(SELECT_BY_USERNAME, [username], user)
    }

    fn users(&self, page: &Page) -> Result<Vec<User>, StoreError> {
        self.all(SELECT_PAGE, params![row::after(page), row::limit(page.limit)], user)
    }

    fn insert_user(&mut self, user: &User) -> Result<bool, StoreError> {
        let User { id, username, email, password_hash, disabled, ended_seq, created_at, version: _ } = user;
        let (ended_seq, created_at) = (Int(*ended_seq), row::time(*created_at));
        self.write_one(INSERT, params![id.as_str(), username, email, password_hash, disabled, ended_seq, created_at])
    }

    fn update_user(&mut self, user: &User) -> Result<(), StoreError> {
        let User { id, email, password_hash, disabled, ended_seq, .. } = user;
        self.update(UPDATE, params![id.as_str(), email, password_hash, disabled, Int(*ended_seq)])
    }

    fn renew_password_hash(&mut self, id: &UserId, old: &str, new: &str) -> Result<bool, StoreError> {
        self.write_one(RENEW_PASSWORD_HASH, [id.as_str(), old, new])
    }

    fn rename_user(&mut self, id: &UserId, username: &str) -> Result<bool, StoreError> {
        self.write_one(RENAME, [id.as_str(), username])
    }
}

fn user(columns: &mut Columns<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: columns.parsed()?,
        username: columns.get()?,
        email: columns.get()?,
        password_hash: columns.get()?,
        disabled: columns.get()?,
        ended_seq: columns.number()?,
        created_at: columns.time()?,
        version: columns.number()?,
    })
}
