//! What is published of a ring: JWK Set (RFC 7517) and PEM (RFC 7468).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use propusk_verify::jose::KeyRing;
use serde_json::{Value, json};

use crate::id::ServiceId;
use crate::store::{KeyState, SealedKey, SigningAlg, StoreError, Tx};

/// A key cannot be made, opened or parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be made, opened or parsed")]
pub struct KeyMaterialError;

/// One audience's public keys.
#[derive(Debug, Clone)]
pub struct PublicRing {
    /// The JWK Set as it is served.
    pub jwks: String,
    /// The same keys, for our own checks.
    pub ring: KeyRing,
    /// `kid` and PEM of each key.
    pub pems: BTreeMap<String, String>,
    /// Which of them signs.
    pub active: Option<String>,
}

/// Reads the rings of all audiences.
///
/// # Errors
/// When the store fails or a stored public key cannot be parsed.
pub fn load_rings(tx: &dyn Tx) -> Result<BTreeMap<ServiceId, PublicRing>, StoreError> {
    let mut keys: BTreeMap<ServiceId, Vec<SealedKey>> = BTreeMap::new();
    for key in tx.live_keys()? {
        keys.entry(key.service.clone()).or_default().push(key);
    }
    keys.into_iter()
        .map(|(service, keys)| public_ring(&keys).map(|ring| (service, ring)).map_err(StoreError::failed))
        .collect()
}

/// The JWK Set (RFC 7517) that verifiers of an audience get over the feed. It has the revoked keys too: a token under
/// one of them is told apart from a forged one.
///
/// # Errors
/// When the store fails or a stored public key cannot be parsed.
pub fn jwks_for_verifiers(tx: &dyn Tx, service: &ServiceId) -> Result<Vec<u8>, StoreError> {
    let keys = tx.keys_of(service)?;
    let jwks = keys.iter().map(public_jwk).collect::<Result<Vec<_>, _>>().map_err(StoreError::failed)?;
    Ok(json!({ "keys": jwks }).to_string().into_bytes())
}

fn public_ring(keys: &[SealedKey]) -> Result<PublicRing, KeyMaterialError> {
    let mut jwks = Vec::new();
    let mut pems = BTreeMap::new();
    for key in keys {
        jwks.push(public_jwk(key)?);
        pems.insert(key.kid.to_string(), spki_pem(&key.public_spki));
    }
    let jwks = json!({ "keys": jwks }).to_string();
    let ring = KeyRing::from_jwks(jwks.as_bytes()).map_err(|_| KeyMaterialError)?;
    let active = keys.iter().find(|key| key.state == KeyState::Active).map(|key| key.kid.to_string());
    Ok(PublicRing { jwks, ring, pems, active })
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
