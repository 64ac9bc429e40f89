//! Sessions.

use propusk_core::env::Timestamp;
use propusk_core::id::{SessionId, UserId};
use propusk_core::secret::TokenKey;
use propusk_core::store::{LastUse, Page, Session, SessionOrigin, Sessions, StoreError};
use rusqlite::params;

use super::row::{self, Columns, Int};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str =
    "SELECT id, user_id, client_id, epoch, scope, created_at, expires_at, token_key, ended_at,
    address, user_agent FROM sessions WHERE id = ?1";

pub(super) const SELECT_OF_USER: &str = "SELECT id, user_id, client_id, epoch, scope, sessions.created_at, expires_at,
    token_key, ended_at, address, user_agent,
    coalesce(last_used_at, sessions.created_at), coalesce(idle_expires_at, expires_at)
    FROM sessions LEFT JOIN refresh_tokens ON session_id = id
        AND number = (SELECT max(number) FROM refresh_tokens WHERE session_id = id)
    WHERE user_id = ?1 AND id > ?2 AND ended_at IS NULL ORDER BY id LIMIT ?3";

pub(super) const INSERT: &str = "INSERT INTO sessions (id, user_id, client_id, epoch, scope, created_at, expires_at,
    token_key, ended_at, address, user_agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(super) const END: &str = "UPDATE sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";

pub(super) const END_OF_USER: &str = "UPDATE sessions SET ended_at = ?2 WHERE user_id = ?1 AND ended_at IS NULL";

pub(super) const END_ALL: &str = "UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL";

impl Sessions for SqliteTx<'_> {
    fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.one(SELECT, [id.as_str()], session)
    }

    fn sessions_of(&self, user: &UserId, page: &Page) -> Result<Vec<(Session, LastUse)>, StoreError> {
        let of = params![user.as_str(), row::after(page), row::limit(page.limit)];
        self.all(SELECT_OF_USER, of, |columns| Ok((session(columns)?, row::last_use(columns)?)))
    }

    fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let values = params![
            session.id.as_str(),
            session.user_id.as_str(),
            session.client_id.as_str(),
            Int(session.epoch),
            session.scope,
            row::time(session.created_at),
            row::time(session.expires_at),
            session.token_key.as_ref().map(TokenKey::as_bytes),
            session.ended_at.map(row::time),
            session.origin.address,
            session.origin.user_agent,
        ];
        self.write_apart(INSERT, values).map(|_| ())
    }

    fn end_session(&mut self, id: &SessionId, at: Timestamp) -> Result<bool, StoreError> {
        self.write_one(END, params![id.as_str(), row::time(at)])
    }

    fn end_sessions_of(&mut self, user: &UserId, at: Timestamp) -> Result<usize, StoreError> {
        self.write(END_OF_USER, params![user.as_str(), row::time(at)])
    }

    fn end_all_sessions(&mut self, at: Timestamp) -> Result<usize, StoreError> {
        self.write(END_ALL, [row::time(at)])
    }
}

fn session(columns: &mut Columns<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: columns.parsed()?,
        user_id: columns.parsed()?,
        client_id: columns.parsed()?,
        epoch: columns.number()?,
        scope: columns.get()?,
        created_at: columns.time()?,
        expires_at: columns.time()?,
        token_key: columns.optional_token_key()?,
        ended_at: columns.optional_time()?,
        origin: SessionOrigin { address: columns.get()?, user_agent: columns.get()? },
    })
}
