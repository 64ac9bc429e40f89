//! The keys of one audience, by `kid`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::parse_object;
use super::key::{KeyError, Kid, VerifyingKey};

/// The keys that may have signed a token for one audience.
///
/// Audiences share no keys, so a ring is never asked about another audience's token.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(BTreeMap<Kid, VerifyingKey>);

impl KeyRing {
    /// Reads a JWK Set (RFC 7517 section 5). As that section asks, keys of types that we do not have and keys
    /// without a `kid` are left out; a malformed key of a type that we do have is an error, and so is a private key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_jwks(bytes: &[u8]) -> Result<Self, KeyError> {
        let set = parse_object(bytes).map_err(|_| KeyError::Form)?.into_map();
        let Some(Value::Array(keys)) = set.get("keys") else { return Err(KeyError::Form) };
        let mut ring = Self::default();
        for jwk in keys {
            match VerifyingKey::from_jwk(jwk) {
                Ok((kid, _)) if ring.0.contains_key(&kid) => return Err(KeyError::DuplicateKid),
                Ok((kid, key)) => ring.insert(kid, key),
                Err(KeyError::Unsupported | KeyError::NoKid) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ring)
    }

    /// Like [`KeyRing::from_jwks`], for a set that anybody can read: a shared secret in it is an error.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_public_jwks(bytes: &[u8]) -> Result<Self, KeyError> {
        let ring = Self::from_jwks(bytes)?;
        if ring.0.values().any(VerifyingKey::is_symmetric) {
            return Err(KeyError::Private);
        }
        Ok(ring)
    }

    /// The key of that name.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// Adds a key, or replaces the one of the same name.
    pub fn insert(&mut self, kid: impl Into<Kid>, key: VerifyingKey) {
        self.0.insert(kid.into(), key);
    }

    /// The names of all keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
