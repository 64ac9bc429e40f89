//! The key-encryption key: private keys are at rest only under it.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

use crate::env::Random;

/// 256 bits that seal private keys with AES-256-GCM. They come from outside: the environment or a file.
pub struct Kek(RandomizedNonceKey);

/// Why a key-encryption key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KekError {
    /// The text is not 32 bytes of base64url without padding.
    #[error("the key-encryption key is 32 bytes in base64url without padding (43 characters)")]
    Form,
    /// It is not the key that sealed this.
    #[error("this key-encryption key does not open the stored keys: it is not the one they were sealed with")]
    Wrong,
    /// The algorithm refused to work.
    #[error("AES-256-GCM failed")]
    Algorithm,
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(…)")
    }
}

impl Kek {
    /// Reads the text form: 43 characters of base64url.
    ///
    /// # Errors
    /// [`KekError::Form`].
    pub fn from_text(text: &str) -> Result<Self, KekError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let decoded = Base64UrlUnpadded::decode(text.trim(), bytes.as_mut()).map_err(|_| KekError::Form)?;
        if decoded.len() != 32 {
            return Err(KekError::Form);
        }
        RandomizedNonceKey::new(&AES_256_GCM, bytes.as_ref()).map(Self).map_err(|_| KekError::Algorithm)
    }

    /// A new key in its text form, to be kept in a file that only its owner reads.
    pub fn generate_text(random: &dyn Random) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        random.fill(bytes.as_mut());
        Zeroizing::new(Base64UrlUnpadded::encode_string(bytes.as_ref()))
    }

    /// Seals `plain`, bound to `context`: it opens only where the same context is given.
    pub(crate) fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, KekError> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut sealed)
            .map_err(|_| KekError::Algorithm)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Kek::seal`] made.
    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError> {
        let (body, nonce) = sealed.split_last_chunk::<12>().ok_or(KekError::Wrong)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length =
            self.0.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).map_err(|_| KekError::Wrong)?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;

    #[test]
    fn opens_only_with_the_same_key_and_context() {
        let kek = Kek::from_text(&Kek::generate_text(&SystemRandom)).unwrap();
        let other = Kek::from_text(&Kek::generate_text(&SystemRandom)).unwrap();
        let sealed = kek.seal("cars/k1", b"private").unwrap();
        assert_eq!(kek.open("cars/k1", &sealed).unwrap().as_slice(), b"private");
        assert_eq!(kek.open("users/k1", &sealed).unwrap_err(), KekError::Wrong);
        assert_eq!(other.open("cars/k1", &sealed).unwrap_err(), KekError::Wrong);
        assert!(!sealed.windows(7).any(|part| part == b"private"));
    }

    #[test]
    fn a_short_text_is_no_key() {
        assert_eq!(Kek::from_text("c2hvcnQ").unwrap_err(), KekError::Form);
        assert_eq!(Kek::from_text("").unwrap_err(), KekError::Form);
    }
}
