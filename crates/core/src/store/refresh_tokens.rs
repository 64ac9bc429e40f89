//! Refresh tokens, stored only as hashes.

use super::{LastUse, StoreError};
use crate::env::Timestamp;
use crate::id::SessionId;
use crate::secret::HashedSecret;

/// One refresh token of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its family, and which one of it.
    pub place: TokenPlace,
    /// SHA-256 of the token.
    pub hash: HashedSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// Of its session, as long as it is the newest one.
    pub last_use: LastUse,
    /// Set at its first use.
    pub rotation: Option<Rotation>,
}

/// Which one a refresh token is. All of a session's lie side by side, so that a rotation touches one place of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// The session.
    pub session_id: SessionId,
    /// The session's first has 0, and each successor one more. Below zero are those of earlier versions, which do not
    /// name their place.
    pub number: i64,
}

/// What the first use of a refresh token left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub at: Timestamp,
    /// The successor's plain text, sealed under a key that only the predecessor's plain text yields.
    pub sealed_successor: Vec<u8>,
}

impl TokenPlace {
    /// Of the token that takes the place of this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { session_id: self.session_id.clone(), number: self.number.saturating_add(1) }
    }
}

/// Storage of [`RefreshToken`]s.
pub trait RefreshTokens {
    /// By its place.
    fn refresh_token(&self, place: &TokenPlace) -> Result<Option<RefreshToken>, StoreError>;
    /// The last of a session's: no other was not used yet.
    fn newest_refresh_token(&self, session: &SessionId) -> Result<Option<RefreshToken>, StoreError>;
    /// By its hash, of those whose number is below zero.
    fn refresh_token_without_place(&self, hash: &HashedSecret) -> Result<Option<RefreshToken>, StoreError>;
    /// A new token, not yet used.
    fn insert_refresh_token(&mut self, token: &RefreshToken) -> Result<(), StoreError>;
    /// Sets `last_use`.
    fn touch_refresh_token(&mut self, place: &TokenPlace, last_use: LastUse) -> Result<(), StoreError>;
    /// Records the first use; `false` if it was used before (then nothing was written).
    fn rotate_refresh_token(&mut self, place: &TokenPlace, rotation: &Rotation) -> Result<bool, StoreError>;
    /// Forgets some of the session's oldest tokens, as far as they were used before `before`.
    fn forget_used_refresh_tokens(&mut self, session: &SessionId, before: Timestamp) -> Result<(), StoreError>;
    /// Forgets the tokens of sessions whose absolute limit passed before `before`, and those sessions; how many
    /// sessions.
    fn forget_expired_sessions(&mut self, before: Timestamp) -> Result<usize, StoreError>;
}
