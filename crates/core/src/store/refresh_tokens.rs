//! Refresh tokens, stored only as hashes.

use super::StoreError;
use crate::env::Timestamp;
use crate::id::SessionId;
use crate::secret::HashedSecret;

/// One refresh token of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: HashedSecret,
    /// Its family.
    pub session_id: SessionId,
    /// When it was handed out.
    pub created_at: Timestamp,
    /// Set at its first use.
    pub rotation: Option<Rotation>,
}

/// What the first use of a refresh token left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub at: Timestamp,
    /// Which token took its place.
    pub successor: HashedSecret,
    /// The successor's plain text, sealed under a key that only the predecessor's plain text yields.
    pub sealed_successor: Vec<u8>,
}

/// Storage of [`RefreshToken`]s.
pub trait RefreshTokens {
    /// By hash.
    fn refresh_token(&self, hash: &HashedSecret) -> Result<Option<RefreshToken>, StoreError>;
    /// A new token, not yet used.
    fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StoreError>;
    /// Records the first use; `false` if it was used before (then nothing was written).
    fn rotate_refresh_token(&mut self, hash: &HashedSecret, rotation: &Rotation) -> Result<bool, StoreError>;
    /// Forgets the tokens of sessions whose absolute limit passed before `before`, and those sessions; how many
    /// sessions.
    fn forget_expired_sessions(&mut self, before: Timestamp) -> Result<usize, StoreError>;
}
