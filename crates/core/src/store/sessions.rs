//! Sessions: a person's sign-ins.

use super::{Page, StoreError};
use crate::env::Timestamp;
use crate::id::{ClientId, SessionId, UserId};
use crate::secret::TokenKey;

/// A person's sign-in at one client, and the family of its refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The claim `sid`.
    pub id: SessionId,
    /// Whose session it is.
    pub user_id: UserId,
    /// At which client.
    pub client_id: ClientId,
    /// The head of the log when the person signed in.
    pub epoch: u64,
    /// What was asked for at sign-in; it never grows.
    pub scope: Option<String>,
    /// Sign-in.
    pub created_at: Timestamp,
    /// The absolute limit.
    pub expires_at: Timestamp,
    /// Marks its refresh tokens; sessions of earlier versions have none.
    pub token_key: Option<TokenKey>,
    /// Set when it was ended before its time.
    pub ended_at: Option<Timestamp>,
    /// Where it came from.
    pub origin: SessionOrigin,
}

/// From where a person signed in, to be shown to that person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOrigin {
    /// Address of the person's device, as far as it is known.
    pub address: Option<String>,
    /// `User-Agent`, untrusted text, cut to 256 bytes.
    pub user_agent: Option<String>,
}

/// When a session was last used; its newest refresh token tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastUse {
    /// The last refresh, or the sign-in.
    pub at: Timestamp,
    /// The end of the session if it is not used before: the idle limit as of then, never beyond the absolute one.
    pub idle_expires_at: Timestamp,
}

/// Storage of [`Session`]s.
pub trait Sessions {
    /// By id, ended ones too.
    fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;
    /// A person's sessions that were not ended, expired ones too, in order of id; `page.after` is an id.
    fn sessions_of(&self, user: &UserId, page: &Page) -> Result<Vec<(Session, LastUse)>, StoreError>;
    /// A new session.
    fn insert_session(&mut self, session: &Session) -> Result<(), StoreError>;
    /// Sets `ended_at`; `false` if it was ended before.
    fn end_session(&mut self, id: &SessionId, at: Timestamp) -> Result<bool, StoreError>;
    /// Ends every session of a person; the number that had not been ended before.
    fn end_sessions_of(&mut self, user: &UserId, at: Timestamp) -> Result<usize, StoreError>;
    /// Ends every session there is; the number that had not been ended before.
    fn end_all_sessions(&mut self, at: Timestamp) -> Result<usize, StoreError>;
}
