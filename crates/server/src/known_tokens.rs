//! Tokens whose signature was checked before, for those who ask about the same ones again and again.
//!
//! Only verified tokens enter: a forged one finds nothing and evicts nothing. An entry says that form, signature, issuer
//! and audience were right under the rings that are served; with other rings it is none. Whether the token has ended or
//! was revoked is asked anew each time. The text is not kept, only its hash.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aws_lc_rs::digest;
use propusk_core::id::ServiceId;
use propusk_core::keys::PublicRing;
use propusk_verify::token::VerifiedToken;
use quick_cache::sync::Cache;

/// The rings of all services, as they are served at one time.
pub(crate) type Rings = BTreeMap<ServiceId, PublicRing>;

/// Most tokens that are kept: a few MiB.
const MOST: usize = 4096;

/// Bounded; what was not asked about lately goes first.
pub(crate) struct KnownTokens(Cache<[u8; 32], Known>);

#[derive(Clone)]
struct Known {
    token: Arc<VerifiedToken>,
    /// Under which it was verified. Weak: nobody needs them any more once others are served.
    rings: Weak<Rings>,
}

impl Default for KnownTokens {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl KnownTokens {
    /// A token that these rings verified before. It may have ended since.
    pub(crate) fn get(&self, hash: &[u8; 32], rings: &Arc<Rings>) -> Option<Arc<VerifiedToken>> {
        let known = self.0.get(hash)?;
        std::ptr::eq(known.rings.as_ptr(), Arc::as_ptr(rings)).then_some(known.token)
    }

    /// Keeps what these rings just verified.
    pub(crate) fn put(&self, hash: [u8; 32], rings: &Arc<Rings>, token: &Arc<VerifiedToken>) {
        self.0.insert(hash, Known { token: Arc::clone(token), rings: Arc::downgrade(rings) });
    }
}

/// Of the whole text, signature and all.
pub(crate) fn hash(raw: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, raw.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use propusk_verify::jose::KeyRing;
    use propusk_verify::token::{Profile, verify_access_token};

    use super::*;

    /// A token from the RFC-like vectors of the verifier would do as well; what counts is that it verifies.
    fn verified() -> (String, Arc<VerifiedToken>) {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = Base64UrlUnpadded::encode_string(pair.public_key().as_ref());
        let jwks =
            format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","use":"sig","alg":"EdDSA","x":"{x}"}}]}}"#);
        let ring = KeyRing::from_jwks(jwks.as_bytes()).unwrap();
        let encoded = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let header = encoded(r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#);
        let claims = encoded(
            r#"{"iss":"i","sub":"cars","aud":"cars","client_id":"cars","iat":1,"exp":1000,"jti":"t","epoch":1,"roles":[]}"#,
        );
        let signature = Base64UrlUnpadded::encode_string(pair.sign(format!("{header}.{claims}").as_bytes()).as_ref());
        let raw = format!("{header}.{claims}.{signature}");
        let profile = Profile { issuer: "i".to_owned(), audience: "cars".to_owned(), leeway: Duration::ZERO };
        let token = verify_access_token(&raw, &ring, &profile, 10).unwrap();
        (raw, Arc::new(token))
    }

    #[test]
    fn a_token_is_known_under_the_rings_that_verified_it_and_no_others() {
        let (raw, token) = verified();
        let (rings, others) = (Arc::new(Rings::new()), Arc::new(Rings::new()));
        let known = KnownTokens::default();
        assert!(known.get(&hash(&raw), &rings).is_none());
        known.put(hash(&raw), &rings, &token);
        assert!(known.get(&hash(&raw), &rings).is_some());
        assert!(
            known.get(&hash(&raw), &others).is_none(),
            "equal rings are not the same ones: keys may have gone between"
        );
        let forged = format!("{}A", raw.get(..raw.len() - 1).unwrap());
        assert!(forged == raw || known.get(&hash(&forged), &rings).is_none());
        drop(rings);
        assert!(known.get(&hash(&raw), &Arc::new(Rings::new())).is_none(), "nor ones at the same place");
    }
}
