//! What is published of a ring: JWK Set (RFC 7517) and PEM (RFC 7468).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use propusk_verify::jose::KeyRing;
use serde_json::{Value, json};

use super::rotation::Ring;
use crate::id::ServiceId;
use crate::store::{KeyState, SealedKey, SigningAlg, StoreError, Tx};

/// A key cannot be made, opened or parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be made, opened or parsed")]
pub struct KeyMaterialError;

/// One audience's public keys. Who fetches them hears of no revocation, so revoked ones are left out of what is served.
#[derive(Debug, Clone)]
pub struct PublicRing {
    /// The JWK Set as it is served.
    pub jwks: String,
    /// All keys, revoked ones too, for our own checks, which hear of revocations.
    pub ring: KeyRing,
    /// `kid` and PEM of each key that is served.
    pub pems: BTreeMap<String, String>,
    /// Which of them signs.
    pub active: Option<String>,
}

/// Reads the rings of all audiences.
///
/// # Errors
/// When the store fails or a stored public key cannot be parsed.
pub fn load_rings(tx: &dyn Tx) -> Result<BTreeMap<ServiceId, PublicRing>, StoreError> {
    let named = |ring: Ring| public_ring(ring.keys()).map(|public| (ring.service().clone(), public));
    Ring::read_all(tx)?.into_iter().map(|ring| named(ring).map_err(StoreError::failed)).collect()
}

/// The JWK Set (RFC 7517) that verifiers of an audience get over the feed. It has the revoked keys too: a token under
/// one of them is told apart from a forged one.
///
/// # Errors
/// When the store fails or a stored public key cannot be parsed.
pub fn jwks_for_verifiers(tx: &dyn Tx, service: &ServiceId) -> Result<Vec<u8>, StoreError> {
    jwk_set(&tx.keys_of(service)?).map(String::into_bytes).map_err(StoreError::failed)
}

fn public_ring(keys: &[SealedKey]) -> Result<PublicRing, KeyMaterialError> {
    let served = || keys.iter().filter(|key| key.state != KeyState::Revoked);
    let ring = KeyRing::from_jwks(jwk_set(keys)?.as_bytes()).map_err(|_| KeyMaterialError)?;
    let active = served().find(|key| key.state == KeyState::Active).map(|key| key.kid.to_string());
    let pems = served().map(|key| (key.kid.to_string(), spki_pem(&key.public_spki))).collect();
    Ok(PublicRing { jwks: jwk_set(served())?, ring, pems, active })
}

fn jwk_set<'a>(keys: impl IntoIterator<Item = &'a SealedKey>) -> Result<String, KeyMaterialError> {
    let jwks = keys.into_iter().map(public_jwk).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "keys": jwks }).to_string())
}

/// The public JWK of a key.
///
/// # Errors
/// When the stored public key cannot be parsed.
pub fn public_jwk(key: &SealedKey) -> Result<Value, KeyMaterialError> {
    let mut jwk = bare_jwk(key.alg, &key.public_spki)?;
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".into(), json!(key.kid));
        members.insert("alg".into(), json!(key.alg.jws_alg()));
        members.insert("use".into(), json!("sig"));
    }
    Ok(jwk)
}

/// Only the members that RFC 7638 hashes.
fn bare_jwk(alg: SigningAlg, spki: &[u8]) -> Result<Value, KeyMaterialError> {
    match alg {
        SigningAlg::Ed25519 => {
            let x = spki.strip_prefix(ED25519_SPKI_PREFIX).filter(|x| x.len() == 32).ok_or(KeyMaterialError)?;
            Ok(json!({ "crv": "Ed25519", "kty": "OKP", "x": Base64UrlUnpadded::encode_string(x) }))
        }
        SigningAlg::Rs256 => {
            let key = aws_lc_rs::rsa::PublicKey::from_der(spki).map_err(|_| KeyMaterialError)?;
            let [n, e] = [key.modulus(), key.exponent()]
                .map(|number| Base64UrlUnpadded::encode_string(number.big_endian_without_leading_zero()));
            Ok(json!({ "e": e, "kty": "RSA", "n": n }))
        }
    }
}

/// RFC 8410: SubjectPublicKeyInfo of an Ed25519 key is this and the 32 bytes.
const ED25519_SPKI_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The first 96 bits of the JWK thumbprint (RFC 7638): short, for it is in every token.
pub(super) fn thumbprint(alg: SigningAlg, spki: &[u8]) -> Result<String, KeyMaterialError> {
    // `serde_json` writes members in lexical order, as RFC 7638 wants them.
    let canonical = bare_jwk(alg, spki)?.to_string();
    let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
    let short = hash.as_ref().get(..12).ok_or(KeyMaterialError)?;
    Ok(Base64UrlUnpadded::encode_string(short))
}

/// SubjectPublicKeyInfo in PEM.
pub fn spki_pem(spki: &[u8]) -> String {
    let body = Base64::encode_string(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        let _ = writeln!(pem, "{line}");
        rest = after;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037 appendix A.
    const RFC_8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn rfc_8037_spki() -> Vec<u8> {
        let mut spki = ED25519_SPKI_PREFIX.to_vec();
        spki.extend(Base64UrlUnpadded::decode_vec(RFC_8037_X).unwrap());
        spki
    }

    #[test]
    fn kids_are_rfc_7638_thumbprints_cut_short() {
        // RFC 8037 appendix A.3 has the whole one.
        let whole = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(thumbprint(SigningAlg::Ed25519, &rfc_8037_spki()).unwrap(), &whole[..16]);
    }

    #[test]
    fn pem_lines_are_64_characters() {
        let pem = spki_pem(&[7; 294]);
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("\n-----END PUBLIC KEY-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64));
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(Base64::decode_vec(&body).unwrap(), [7; 294]);
    }
}
