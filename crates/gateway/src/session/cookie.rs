//! The one cookie: a session sealed with AES-256-GCM, so that the gateway may forget it.
//!
//! Value: base64url of one byte that names the key, nonce, ciphertext, tag. The cookie's name is authenticated with
//! it, so that nothing else sealed under the same key passes for a session.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding};
use http::HeaderValue;
use zeroize::Zeroizing;

use super::Session;

/// Browsers demand for this prefix: `Secure`, `HttpOnly`, `Path=/`, no `Domain`.
pub(crate) const COOKIE_NAME: &str = "__Host-Http-propusk";
const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Strict";
/// Name, value and attributes together stay below this.
const MAX_COOKIE: usize = 4096;

/// Seals sessions under one key and opens them under several.
pub(crate) struct CookieCodec {
    keys: Vec<(u8, RandomizedNonceKey)>,
}

/// The cryptographic library refused, or the session cannot be made small enough; never seen in practice.
#[derive(Debug, thiserror::Error)]
#[error("the session cannot be sealed")]
pub(crate) struct SealError;

impl CookieCodec {
    /// The first key seals.
    pub(crate) fn new<'k>(keys: impl Iterator<Item = &'k Zeroizing<[u8; 32]>>) -> Result<Self, SealError> {
        let keys = keys.map(|key| {
            // The digest shows nothing of a random key, and replicas agree on it.
            let id = digest(&SHA256, key.as_slice()).as_ref().first().copied().unwrap_or_default();
            let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealError)?;
            Ok((id, key))
        });
        Ok(Self { keys: keys.collect::<Result<_, SealError>>()? })
    }

    /// A whole `Set-Cookie` value. The oldest access tokens are left out if it would be too long: they can be had
    /// again, the rest cannot.
    pub(crate) fn seal(&self, session: &Session) -> Result<HeaderValue, SealError> {
        let mut session = session.clone();
        loop {
            let value = self.seal_value(&session)?;
            let cookie = format!("{COOKIE_NAME}={value}{ATTRIBUTES}");
            if cookie.len() < MAX_COOKIE {
                let mut cookie = HeaderValue::from_str(&cookie).map_err(|_| SealError)?;
                cookie.set_sensitive(true);
                return Ok(cookie);
            }
            if session.tokens.is_empty() {
                return Err(SealError);
            }
            session.tokens.remove(0);
        }
    }

    fn seal_value(&self, session: &Session) -> Result<String, SealError> {
        let (id, key) = self.keys.first().ok_or(SealError)?;
        let mut sealed = Zeroizing::new(serde_json::to_vec(session).map_err(|_| SealError)?);
        let nonce =
            key.seal_in_place_append_tag(Aad::from(COOKIE_NAME.as_bytes()), &mut *sealed).map_err(|_| SealError)?;
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        bytes.push(*id);
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&sealed);
        Ok(Base64UrlUnpadded::encode_string(&bytes))
    }

    /// `None` for whatever this gateway, or one with the same keys, did not seal.
    pub(crate) fn open(&self, value: &str) -> Option<Session> {
        if value.len() >= MAX_COOKIE {
            return None;
        }
        let bytes = Base64UrlUnpadded::decode_vec(value).ok()?;
        let (id, rest) = bytes.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        self.keys.iter().filter(|(key_id, _)| key_id == id).find_map(|(_, key)| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut sealed = Zeroizing::new(sealed.to_vec());
            let opened = key.open_in_place(nonce, Aad::from(COOKIE_NAME.as_bytes()), sealed.as_mut_slice()).ok()?;
            serde_json::from_slice(opened).ok()
        })
    }
}

/// A `Set-Cookie` value that makes browsers forget the session.
pub(crate) fn cleared() -> HeaderValue {
    HeaderValue::from_static("__Host-Http-propusk=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{session, token};
    use super::*;

    fn codec(keys: &[u8]) -> CookieCodec {
        let keys: Vec<_> = keys.iter().map(|key| Zeroizing::new([*key; 32])).collect();
        CookieCodec::new(keys.iter()).unwrap()
    }

    fn value_of(cookie: &HeaderValue) -> String {
        let text = cookie.to_str().unwrap();
        text.strip_prefix("__Host-Http-propusk=").unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let codec = codec(&[1]);
        let cookie = codec.seal(&session()).unwrap();
        assert!(cookie.to_str().unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"));
        let value = value_of(&cookie);
        assert_eq!(codec.open(&value), Some(session()));
        assert_ne!(value, value_of(&codec.seal(&session()).unwrap()), "nonces differ");
        for wrong in
            ["", "A", "AAAA", &value[1..], &value[..value.len() - 1], &format!("{value}="), &format!("{value}A")]
        {
            assert_eq!(codec.open(wrong), None);
        }
    }

    #[test]
    fn shows_nothing_of_the_session() {
        let value = value_of(&codec(&[1]).seal(&session()).unwrap());
        let bytes = Base64UrlUnpadded::decode_vec(&value).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("alice") && !text.contains("refresh"), "{text}");
    }

    #[test]
    fn keys_rotate() {
        let old = value_of(&codec(&[1]).seal(&session()).unwrap());
        let both = codec(&[2, 1]);
        assert_eq!(both.open(&old), Some(session()));
        let new = value_of(&both.seal(&session()).unwrap());
        assert_eq!(codec(&[2]).open(&new), Some(session()));
        assert_eq!(codec(&[1]).open(&new), None);
        assert_eq!(codec(&[2]).open(&old), None);
    }

    #[test]
    fn another_name_does_not_open() {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &[1; 32]).unwrap();
        let mut sealed = serde_json::to_vec(&session()).unwrap();
        let nonce = key.seal_in_place_append_tag(Aad::from(b"other"), &mut sealed).unwrap();
        let id = digest(&SHA256, &[1; 32]).as_ref()[0];
        let value = Base64UrlUnpadded::encode_string(&[&[id], nonce.as_ref().as_slice(), &sealed].concat());
        assert_eq!(codec(&[1]).open(&value), None);
    }

    #[test]
    fn stays_below_4096_bytes_by_leaving_out_the_oldest_tokens() {
        let codec = codec(&[1]);
        let mut large = session();
        large.tokens = (0..8).map(|n| token(&format!("aud{n}"), 900)).collect();
        let cookie = codec.seal(&large).unwrap();
        assert!(cookie.len() < 4096);
        let opened = codec.open(&value_of(&cookie)).unwrap();
        assert!(!opened.tokens.is_empty() && opened.tokens.len() < 8);
        assert_eq!(opened.tokens.last(), large.tokens.last());
        assert_eq!(opened.refresh, large.refresh);
    }

    proptest! {
        #[test]
        fn one_flipped_bit_and_it_does_not_open(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let codec = codec(&[1]);
            let mut bytes = Base64UrlUnpadded::decode_vec(&value_of(&codec.seal(&session()).unwrap())).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(codec.open(&Base64UrlUnpadded::encode_string(&bytes)), None);
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,300}") {
            prop_assert_eq!(codec(&[1]).open(&text), None);
        }

        #[test]
        fn round_trip(username in "\\PC{1,64}", sizes in prop::collection::vec(1usize..1500, 0..6)) {
            let codec = codec(&[1]);
            let mut session = session();
            session.username = username;
            session.tokens = sizes.iter().enumerate().map(|(n, size)| token(&format!("aud{n}"), *size)).collect();
            let cookie = codec.seal(&session).unwrap();
            prop_assert!(cookie.len() < 4096);
            let opened = codec.open(&value_of(&cookie)).unwrap();
            prop_assert_eq!(&opened.username, &session.username);
            prop_assert!(session.tokens.ends_with(&opened.tokens));
        }
    }
}
