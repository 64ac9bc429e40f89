//! Refresh tokens.

use propusk_core::env::Timestamp;
use propusk_core::secret::HashedSecret;
use propusk_core::store::{RefreshToken, RefreshTokens, Rotation, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str = "SELECT hash, session_id, created_at, rotated_at, successor, sealed_successor
    FROM refresh_tokens WHERE hash = ?1";

pub(super) const INSERT: &str =
    "INSERT INTO refresh_tokens (hash, session_id, created_at, rotated_at, successor, sealed_successor)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

pub(super) const ROTATE: &str = "UPDATE refresh_tokens SET rotated_at = ?2, successor = ?3, sealed_successor = ?4
    WHERE hash = ?1 AND rotated_at IS NULL";

pub(super) const FORGET_EXPIRED: &str =
    "DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE expires_at < ?1)";

pub(super) const FORGET_EXPIRED_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at < ?1";

impl RefreshTokens for SqliteTx<'_> {
    fn refresh_token(&self, hash: &HashedSecret) -> Result<Option<RefreshToken>, StoreError> {
        self.one(SELECT, [row::hash(hash)], token)
    }

    fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        let rotation = token.rotation.as_ref();
        let values = params![
            row::hash(&token.hash),
            token.session_id.as_str(),
            row::time(token.created_at),
            rotation.map(|rotation| row::time(rotation.at)),
            rotation.map(|rotation| row::hash(&rotation.successor)),
            rotation.map(|rotation| &rotation.sealed_successor),
        ];
        self.write(INSERT, values).map(|_| ())
    }

    fn rotate_refresh_token(&mut self, hash: &HashedSecret, rotation: &Rotation) -> Result<bool, StoreError> {
        let Rotation { at, successor, sealed_successor } = rotation;
        self.write_one(ROTATE, params![row::hash(hash), row::time(*at), row::hash(successor), sealed_successor])
    }

    fn forget_expired_sessions(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(FORGET_EXPIRED, [row::time(before)])?;
        self.write(FORGET_EXPIRED_SESSIONS, [row::time(before)])
    }
}

fn token(columns: &mut Columns<'_>) -> rusqlite::Result<RefreshToken> {
    Ok(RefreshToken {
        hash: columns.hash()?,
        session_id: columns.parsed()?,
        created_at: columns.time()?,
        rotation: rotation(columns)?,
    })
}

fn rotation(columns: &mut Columns<'_>) -> rusqlite::Result<Option<Rotation>> {
    let (at, successor, sealed) = (columns.optional_time()?, columns.optional_hash()?, columns.get()?);
    // The table has all three or none.
    Ok(match (at, successor, sealed) {
        (Some(at), Some(successor), Some(sealed_successor)) => Some(Rotation { at, successor, sealed_successor }),
        _ => None,
    })
}
