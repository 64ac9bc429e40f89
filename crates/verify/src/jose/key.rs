//! A key that checks signatures. Each key has one algorithm, and is asked for it at use.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use serde_json::{Map, Value};

use super::alg::Alg;
use super::base64url::decode;
use super::pem;

/// The `kid` of a key: what a token's header names it by.
pub type Kid = String;

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no JWK, JWK Set or PEM.
    #[error("not a JSON Web Key, key set or PEM public key")]
    Form,
    /// A type, curve, algorithm or use that we do not have.
    #[error("not a key for EdDSA, ES256, RS256 or HS256 signatures")]
    Unsupported,
    /// A JWK without `kid` cannot be named by a token.
    #[error("the key has no `kid`")]
    NoKid,
    /// The same `kid` twice in a set.
    #[error("two keys of the set have the same `kid`")]
    DuplicateKid,
    /// Its members are malformed: wrong length, not on the curve.
    #[error("the key is malformed")]
    Malformed,
    /// An RSA modulus under 2048 or over 8192 bits, or a secret under 256.
    #[error("the key is too weak, or too large to be sensible")]
    Size,
    /// It contains its private part, so it is not secret any more.
    #[error("a private key where a public one belongs: treat it as leaked")]
    Private,
}

/// A parsed key with the one algorithm that it may be used with.
#[derive(Clone)]
pub struct VerifyingKey(Material);

#[derive(Clone)]
enum Material {
    Ed25519(ParsedPublicKey),
    Es256(ParsedPublicKey),
    Rs256(ParsedPublicKey),
    Hs256(Box<hmac::Key>),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.alg())
    }
}

impl VerifyingKey {
    /// Reads a public JWK (RFC 7517): `OKP`/`Ed25519`, `EC`/`P-256`, `RSA`, or `oct` for HS256. It needs a `kid`;
    /// `alg`, `use` and `key_ops`, where present, must allow what we do with it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_jwk(jwk: &Value) -> Result<(Kid, Self), KeyError> {
        let jwk = jwk.as_object().ok_or(KeyError::Form)?;
        let key_type = text(jwk, "kty")?;
        if key_type != "oct" && jwk.contains_key("d") {
            return Err(KeyError::Private);
        }
        check_intended_use(jwk)?;
        let alg = match jwk.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(name.parse::<Alg>().map_err(|_| KeyError::Unsupported)?),
            Some(_) => return Err(KeyError::Form),
        };
        let key = match key_type {
            "OKP" => Self::ed25519(&member(jwk, "Ed25519", &["x"])?.concat())?,
            "EC" => Self::p256(&member(jwk, "P-256", &["x", "y"])?)?,
            "RSA" => Self::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
            "oct" => Self::hs256(&bytes(jwk, "k")?)?,
            _ => return Err(KeyError::Unsupported),
        };
        if alg.is_some_and(|alg| !key.accepts(alg)) {
            return Err(KeyError::Unsupported);
        }
        let kid = match jwk.get("kid") {
            None => return Err(KeyError::NoKid),
            Some(Value::String(kid)) if !kid.is_empty() => kid.clone(),
            Some(_) => return Err(KeyError::Form),
        };
        Ok((kid, key))
    }

    /// Reads a SubjectPublicKeyInfo in PEM (`-----BEGIN PUBLIC KEY-----`), to be used with `alg` only.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_spki_pem(text: &str, alg: Alg) -> Result<Self, KeyError> {
        let der = pem::public_key(text)?;
        match alg {
            // 32 bytes would be taken for a bare key, which no SubjectPublicKeyInfo can be.
            _ if der.len() <= 32 => Err(KeyError::Malformed),
            Alg::EdDsa | Alg::Ed25519 => parsed(ParsedPublicKey::new(&ED25519, der)).map(Material::Ed25519).map(Self),
            Alg::Es256 => parsed(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der)).map(Material::Es256).map(Self),
            Alg::Rs256 => {
                let key = aws_lc_rs::rsa::PublicKey::from_der(&der).map_err(|_| KeyError::Malformed)?;
                let [n, e] =
                    [key.modulus(), key.exponent()].map(|number| number.big_endian_without_leading_zero().to_vec());
                Self::rsa(&n, &e)
            }
            Alg::Hs256 => Err(KeyError::Unsupported),
        }
    }

    /// A shared secret for HS256, at least 256 bits (RFC 7518 section 3.2).
    ///
    /// # Errors
    /// [`KeyError::Size`].
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < 32 {
            return Err(KeyError::Size);
        }
        Ok(Self(Material::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))))
    }

    fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        if x.len() != 32 {
            return Err(KeyError::Malformed);
        }
        parsed(ParsedPublicKey::new(&ED25519, x)).map(Material::Ed25519).map(Self)
    }

    fn p256(coordinates: &[Vec<u8>]) -> Result<Self, KeyError> {
        // RFC 7518 section 6.2.1.2: full length, leading zeros included.
        if coordinates.iter().any(|coordinate| coordinate.len() != 32) {
            return Err(KeyError::Malformed);
        }
        let point = [[0x04].as_slice(), &coordinates.concat()].concat();
        parsed(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)).map(Material::Es256).map(Self)
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::Size);
        }
        // An exponent of 1 would make every message its own signature.
        if e.is_empty() || e == [1] || e.last().is_some_and(|byte| byte % 2 == 0) {
            return Err(KeyError::Malformed);
        }
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        parsed(key).map(Material::Rs256).map(Self)
    }

    /// The algorithm that it is for; of the two names of Ed25519, the one on the wire by default.
    pub fn alg(&self) -> Alg {
        match self.0 {
            Material::Ed25519(_) => Alg::EdDsa,
            Material::Es256(_) => Alg::Es256,
            Material::Rs256(_) => Alg::Rs256,
            Material::Hs256(_) => Alg::Hs256,
        }
    }

    /// Whether a signature under `alg` may be checked with this key. `EdDSA` and `Ed25519` both name an Ed25519 key.
    pub fn accepts(&self, alg: Alg) -> bool {
        alg == self.alg() || (alg == Alg::Ed25519 && matches!(self.0, Material::Ed25519(_)))
    }

    /// Whether it is a shared secret, which has no place in a published set.
    pub fn is_symmetric(&self) -> bool {
        matches!(self.0, Material::Hs256(_))
    }

    /// Whether `signature` is one over `message`. False, too, when the key is not for `alg`.
    pub fn verify(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        self.accepts(alg)
            && match &self.0 {
                Material::Ed25519(key) | Material::Es256(key) | Material::Rs256(key) => {
                    key.verify_sig(message, signature).is_ok()
                }
                Material::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
            }
    }
}

fn parsed<E>(key: Result<ParsedPublicKey, E>) -> Result<ParsedPublicKey, KeyError> {
    key.map_err(|_| KeyError::Malformed)
}

fn check_intended_use(jwk: &Map<String, Value>) -> Result<(), KeyError> {
    if jwk.get("use").is_some_and(|intended| intended != "sig") {
        return Err(KeyError::Unsupported);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyError::Unsupported),
        Some(_) => Err(KeyError::Form),
    }
}

/// The named members of a key on `curve`.
fn member(jwk: &Map<String, Value>, curve: &str, names: &[&str]) -> Result<Vec<Vec<u8>>, KeyError> {
    if text(jwk, "crv")? != curve {
        return Err(KeyError::Unsupported);
    }
    names.iter().map(|name| bytes(jwk, name)).collect()
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, KeyError> {
    jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Form)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyError> {
    decode(text(jwk, name)?).ok_or(KeyError::Malformed)
}
