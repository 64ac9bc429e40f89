//! Refresh tokens.

use propusk_core::env::Timestamp;
use propusk_core::id::SessionId;
use propusk_core::secret::HashedSecret;
use propusk_core::store::{LastUse, RefreshToken, RefreshTokens, Rotation, StoreError, TokenPlace};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT session_id, number, hash, created_at, last_used_at, idle_expires_at,
    rotated_at, sealed_successor FROM refresh_tokens WHERE session_id = ?1 AND number = ?2";

pub(super) const SELECT_NEWEST: &str = "SELECT session_id, number, hash, created_at, last_used_at, idle_expires_at,
    rotated_at, sealed_successor FROM refresh_tokens WHERE session_id = ?1 ORDER BY number DESC LIMIT 1";

pub(super) const SELECT_WITHOUT_PLACE: &str =
    "SELECT session_id, number, hash, created_at, last_used_at, idle_expires_at,
    rotated_at, sealed_successor FROM refresh_tokens WHERE hash = ?1 AND number < 0";

pub(super) const INSERT: &str = "INSERT INTO refresh_tokens (session_id, number, hash, created_at, last_used_at,
    idle_expires_at, rotated_at, sealed_successor) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

pub(super) const TOUCH: &str =
    "UPDATE refresh_tokens SET last_used_at = ?3, idle_expires_at = ?4 WHERE session_id = ?1 AND number = ?2";

pub(super) const ROTATE: &str = "UPDATE refresh_tokens SET rotated_at = ?3, sealed_successor = ?4
    WHERE session_id = ?1 AND number = ?2 AND rotated_at IS NULL";

/// Some at a time: who asks for a token waits for it.
pub(super) const FORGET_USED: &str = "DELETE FROM refresh_tokens
    WHERE session_id = ?1 AND rotated_at < ?2
        AND number < 32 + (SELECT min(number) FROM refresh_tokens WHERE session_id = ?1)";

pub(super) const FORGET_EXPIRED: &str =
    "DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE expires_at < ?1)";

pub(super) const FORGET_EXPIRED_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at < ?1";

impl RefreshTokens for SqliteTx<'_> {
    fn refresh_token(&self, place: &TokenPlace) -> Result<Option<RefreshToken>, StoreError> {
        self.one(SELECT, params![place.session_id.as_str(), place.number], token)
    }

    fn newest_refresh_token(&self, session: &SessionId) -> Result<Option<RefreshToken>, StoreError> {
        self.one(SELECT_NEWEST, [session.as_str()], token)
    }

    fn refresh_token_without_place(&self, hash: &HashedSecret) -> Result<Option<RefreshToken>, StoreError> {
        self.one(SELECT_WITHOUT_PLACE, [row::hash(hash)], token)
    }

    fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        let rotation = token.rotation.as_ref();
        let values = params![
            token.place.session_id.as_str(),
            token.place.number,
            row::hash(&token.hash),
            row::time(token.created_at),
            row::time(token.last_use.at),
            row::time(token.last_use.idle_expires_at),
            rotation.map(|rotation| row::time(rotation.at)),
            rotation.map(|rotation| &rotation.sealed_successor),
        ];
        self.write_apart(INSERT, values).map(|_| ())
    }

    fn touch_refresh_token(&mut self, place: &TokenPlace, last_use: LastUse) -> Result<(), StoreError> {
        let (at, idle_expires_at) = (row::time(last_use.at), row::time(last_use.idle_expires_at));
        self.update_apart(TOUCH, params![place.session_id.as_str(), place.number, at, idle_expires_at])
    }

    fn rotate_refresh_token(&mut self, place: &TokenPlace, rotation: &Rotation) -> Result<bool, StoreError> {
        let TokenPlace { session_id, number } = place;
        let Rotation { at, sealed_successor } = rotation;
        let values = params![session_id.as_str(), number, row::time(*at), sealed_successor];
        Ok(self.write_apart(ROTATE, values)? > 0)
    }

    fn forget_used_refresh_tokens(&mut self, session: &SessionId, before: Timestamp) -> Result<(), StoreError> {
        self.write_apart(FORGET_USED, params![session.as_str(), row::time(before)]).map(|_| ())
    }

    fn forget_expired_sessions(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(FORGET_EXPIRED, [row::time(before)])?;
        self.write(FORGET_EXPIRED_SESSIONS, [row::time(before)])
    }
}

fn token(columns: &mut Columns<'_>) -> rusqlite::Result<RefreshToken> {
    Ok(RefreshToken {
        place: TokenPlace { session_id: columns.parsed()?, number: columns.get()? },
        hash: columns.hash()?,
        created_at: columns.time()?,
        last_use: row::last_use(columns)?,
        rotation: rotation(columns)?,
    })
}

fn rotation(columns: &mut Columns<'_>) -> rusqlite::Result<Option<Rotation>> {
    let (at, sealed) = (columns.optional_time()?, columns.get::<Option<_>>()?);
    // The table has both or none.
    Ok(at.zip(sealed).map(|(at, sealed_successor)| Rotation { at, sealed_successor }))
}
