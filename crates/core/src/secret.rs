//! Secrets that we make and hand out: refresh tokens and client secrets.
//!
//! The plain form goes to its owner once; the store only ever sees the hash. They are different types, so one
//! cannot be stored or compared as the other by mistake.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::env::Random;

/// A secret of 256 random bits in its plain form: a prefix that names its kind, base64url, and a mark if it has one.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainSecret(Zeroizing<String>);

/// SHA-256 of a [`PlainSecret`]. With 256 random bits below it, it needs neither salt nor stretching.
#[derive(Clone, Copy)]
pub struct HashedSecret([u8; 32]);

/// What marks the refresh tokens of one session as handed out. Who has it alone has no token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey([u8; 32]);

/// The prefix of client secrets.
pub const CLIENT_SECRET_PREFIX: &str = "psk_";

impl PlainSecret {
    /// A new secret of the kind that `prefix` names.
    pub fn generate(prefix: &str, random: &dyn Random) -> Self {
        let mut bits = Zeroizing::new([0_u8; 32]);
        random.fill(bits.as_mut());
        Self(Zeroizing::new(format!("{prefix}{}", Base64UrlUnpadded::encode_string(bits.as_ref()))))
    }

    /// A secret as somebody presented it.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, to be sent to its owner and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps.
    pub fn hash(&self) -> HashedSecret {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        HashedSecret(hash)
    }

    /// Seals `successor` under a key that only this plain text yields, so that the store alone gives no token.
    pub(crate) fn seal(&self, successor: &Self) -> Result<Vec<u8>, SealError> {
        let mut sealed = successor.0.as_bytes().to_vec();
        let nonce = self.sealing_key()?.seal_in_place_append_tag(Aad::empty(), &mut sealed).map_err(|_| SealError)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what [`PlainSecret::seal`] made with the same plain text.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Self, SealError> {
        let (body, nonce) = sealed.split_last_chunk::<12>().ok_or(SealError)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(*nonce);
        let plain = self.sealing_key()?.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| SealError)?;
        let text = std::str::from_utf8(plain).map_err(|_| SealError)?;
        Ok(Self::presented(text))
    }

    fn sealing_key(&self) -> Result<RandomizedNonceKey, SealError> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"propusk refresh successor v1");
        let pseudo_random = salt.extract(self.0.as_bytes());
        let expanded = pseudo_random.expand(&[b"aes-256-gcm"], hkdf::HKDF_SHA256).map_err(|_| SealError)?;
        let mut key = Zeroizing::new([0_u8; 32]);
        expanded.fill(key.as_mut()).map_err(|_| SealError)?;
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| SealError)
    }
}

/// Sealing or opening failed: the wrong key, or a changed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened with this key")]
pub struct SealError;

impl TokenKey {
    /// A new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bits = [0; 32];
        random.fill(&mut bits);
        Self(bits)
    }

    /// The key as the store keeps it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key read back from the store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The text with its mark: half of an HMAC with SHA-256.
    pub(crate) fn mark(&self, text: &PlainSecret) -> PlainSecret {
        let mark = Base64UrlUnpadded::encode_string(&self.mark_of(&text.0));
        PlainSecret(Zeroizing::new(format!("{}{mark}", *text.0)))
    }

    /// Whether this key marked the text.
    pub(crate) fn has_marked(&self, presented: &PlainSecret) -> bool {
        let begins = presented.0.len().saturating_sub(MARK_CHARS);
        let Some((text, mark)) = presented.0.split_at_checked(begins) else { return false };
        let mut found = [0; MARK_BYTES];
        let is_whole = Base64UrlUnpadded::decode(mark, &mut found).is_ok_and(|mark| mark.len() == MARK_BYTES);
        is_whole & bool::from(found.ct_eq(&self.mark_of(text)))
    }

    fn mark_of(&self, text: &str) -> [u8; MARK_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let whole = hmac::sign(&key, text.as_bytes());
        let mut half = [0; MARK_BYTES];
        half.iter_mut().zip(whole.as_ref()).for_each(|(to, from)| *to = *from);
        half
    }
}

/// Of a mark, and as it is written in base64url.
const MARK_BYTES: usize = 16;
const MARK_CHARS: usize = 22;

impl HashedSecret {
    /// The hash as the store keeps it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash read back from the store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// In constant time.
impl PartialEq for HashedSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for HashedSecret {}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainSecret(…)")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;

    #[test]
    fn a_successor_opens_only_with_its_predecessor() {
        let [first, second, other] = [0; 3].map(|_| PlainSecret::generate("prt_", &SystemRandom));
        let sealed = first.seal(&second).unwrap();
        assert_eq!(first.open(&sealed).unwrap(), second);
        assert_eq!(other.open(&sealed), Err(SealError));
        let mut changed = sealed.clone();
        changed[3] ^= 1;
        assert_eq!(first.open(&changed), Err(SealError));
        assert_eq!(first.open(&[]), Err(SealError));
    }

    #[test]
    fn a_mark_is_of_one_key_and_one_text() {
        let [key, other] = [0; 2].map(|_| TokenKey::generate(&SystemRandom));
        let text = PlainSecret::generate("prt_s_1.0.", &SystemRandom);
        let marked = key.mark(&text);
        assert!(key.has_marked(&marked) && !other.has_marked(&marked) && !key.has_marked(&text));
        assert_eq!(marked.expose().len(), text.expose().len() + MARK_CHARS);
        let whole = marked.expose();
        for at in 0..whole.len() {
            let changed = whole.char_indices().map(|(n, char)| {
                if n != at {
                    char
                } else if char == 'A' {
                    'B'
                } else {
                    'A'
                }
            });
            assert!(!key.has_marked(&PlainSecret::presented(changed.collect::<String>())), "{at}");
            assert!(!key.has_marked(&PlainSecret::presented(&whole[..at])), "{at}");
        }
        for odd in ["", "ä", &"ä".repeat(30), &format!("{whole}A"), &format!("{whole}="), &format!("A{whole}")] {
            assert!(!key.has_marked(&PlainSecret::presented(odd)), "{odd}");
        }
        assert_eq!(format!("{key:?}"), "TokenKey(…)");
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = PlainSecret::generate(CLIENT_SECRET_PREFIX, &SystemRandom);
        assert!(secret.expose().starts_with("psk_") && secret.expose().len() == 4 + 43);
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "PlainSecret(…) HashedSecret(…)");
    }
}
