//! Signing keys, a ring for each audience. Private parts are stored sealed.

use std::fmt;
use std::str::FromStr;

use super::StoreError;
use crate::env::Timestamp;
use crate::id::{Kid, ServiceId};

/// What a service's keys sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningAlg {
    /// Ed25519; tokens say `EdDSA` (RFC 8037).
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518), 2048 bits.
    Rs256,
}

impl SigningAlg {
    /// As `alg` is written in the admin API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Rs256 => "RS256",
        }
    }

    /// The header member `alg` of tokens that such a key signs.
    pub fn jws_alg(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}

impl fmt::Display for SigningAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no algorithm that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a supported algorithm: Ed25519 or RS256")]
pub struct UnknownAlg;

impl FromStr for SigningAlg {
    type Err = UnknownAlg;

    fn from_str(text: &str) -> Result<Self, UnknownAlg> {
        [Self::Ed25519, Self::Rs256].into_iter().find(|alg| alg.as_str() == text).ok_or(UnknownAlg)
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, signs nothing yet.
    Staged,
    /// Signs. One a ring.
    Active,
    /// Signs nothing any more; tokens that it signed are still good.
    Retiring,
    /// Taken back: its tokens are refused.
    Revoked,
}

impl KeyState {
    /// As written in the admin API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
        }
    }

    /// The state that `text` names.
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Staged, Self::Active, Self::Retiring, Self::Revoked].into_iter().find(|s| s.as_str() == text)
    }
}

/// A key as it is stored: the private part is sealed under the key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// The header member `kid`.
    pub kid: Kid,
    /// The ring it belongs to.
    pub service: ServiceId,
    /// What it signs with.
    pub alg: SigningAlg,
    /// Where it is in its life.
    pub state: KeyState,
    /// SubjectPublicKeyInfo, DER.
    pub public_spki: Vec<u8>,
    /// PKCS #8, sealed by [`crate::keys::Kek`].
    pub sealed_pkcs8: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The event that tells verifiers of it; `None` until [`Keys::publish_keys`].
    pub published_seq: Option<u64>,
    /// Since when it is to take the place of the key that signs, as soon as everybody can check what it signs.
    pub promoted_at: Option<Timestamp>,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// Of a key that was retired or revoked: the log's ceiling at that time, in Unix seconds. No token of it lives longer.
    pub until: Option<u64>,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("kid", &self.kid)
            .field("service", &self.service)
            .field("alg", &self.alg)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Storage of signing keys.
pub trait Keys {
    /// Every key of all rings, in order of service and creation.
    fn all_keys(&self) -> Result<Vec<SealedKey>, StoreError>;
    /// One ring, in order of creation.
    fn keys_of(&self, service: &ServiceId) -> Result<Vec<SealedKey>, StoreError>;
    /// By id.
    fn key(&self, kid: &Kid) -> Result<Option<SealedKey>, StoreError>;
    /// The key that signs for a service.
    fn active_key(&self, service: &ServiceId) -> Result<Option<SealedKey>, StoreError>;
    /// A new key.
    fn insert_key(&mut self, key: &SealedKey) -> Result<(), StoreError>;
    /// Stores where a key is in its life: state, promotion, activation and end.
    fn update_key(&mut self, key: &SealedKey) -> Result<(), StoreError>;
    /// Notes that the event `seq` tells of the keys of a service that no event told of before. It alone may come after
    /// the event is appended.
    fn publish_keys(&mut self, service: &ServiceId, seq: u64) -> Result<(), StoreError>;
    /// Removes a key.
    fn delete_key(&mut self, kid: &Kid) -> Result<(), StoreError>;
}
