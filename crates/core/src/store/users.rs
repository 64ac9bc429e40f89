//! People.

use super::{Page, StoreError};
use crate::env::Timestamp;
use crate::id::UserId;

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The `sub` of this person's tokens; never used again for anyone else.
    pub id: UserId,
    /// In the stored form of [`crate::username`], unique.
    pub username: String,
    /// Not verified, hence not unique.
    pub email: Option<String>,
    /// An argon2id hash in PHC form, or until the next sign-in one that an import brought
    /// ([`crate::password::StoredHash`]); `None` for a person who has no password.
    pub password_hash: Option<String>,
    /// A disabled person gets no token and no session.
    pub disabled: bool,
    /// The `seq` of the last event that ended everything this person had; 0 if there was none. Sessions with an
    /// earlier epoch are not refreshed.
    pub ended_seq: u64,
    /// When this person registered.
    pub created_at: Timestamp,
    /// Grows with every change of this person; the store counts.
    pub version: u64,
}

/// Storage of [`User`]s.
pub trait Users {
    /// By id.
    fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;
    /// By the stored form of the username.
    fn user_by_username(&self, username: &str) -> Result<Option<User>, StoreError>;
    /// In order of id; `page.after` is an id.
    fn users(&self, page: &Page) -> Result<Vec<User>, StoreError>;
    /// A new user; `false` if the username is taken (then nothing was written).
    fn insert_user(&mut self, user: &User) -> Result<bool, StoreError>;
    /// Replaces every field of the user with this id but `username`, `created_at` and `version`, which grows.
    fn update_user(&mut self, user: &User) -> Result<(), StoreError>;
    /// Puts another hash of the same password in the place of `old`; `false` if that is not the stored one any more (then
    /// nothing was written). Nothing of the person changes: the version stays.
    fn renew_password_hash(&mut self, id: &UserId, old: &str, new: &str) -> Result<bool, StoreError>;
    /// Gives a person another username; `false` if it is taken (then nothing was written).
    fn rename_user(&mut self, id: &UserId, username: &str) -> Result<bool, StoreError>;
}
