//! Tokens and rings as the authority makes them.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use propusk_verify::jose::KeyRing;
use serde_json::{Value, json};

pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const AUDIENCE: &str = "cars";
const KID: &str = "kPrK_qmxVWaYVA9w";

/// A key that signs.
pub(crate) enum Signer {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
    Hs256(Box<hmac::Key>, [u8; 32]),
}

impl Signer {
    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(super) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(super) fn rs256() -> Self {
        Self::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")))
    }

    pub(super) fn hs256() -> Self {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).expect("randomness");
        Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)), secret)
    }

    pub(super) fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
            Self::Hs256(..) => "HS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Es256(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Self::Hs256(key, _) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// What a bare check takes: the public key, or the secret.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
            Self::Es256(key) => key.public_key().as_ref().to_vec(),
            Self::Rs256(key) => key.public_key().as_ref().to_vec(),
            Self::Hs256(_, secret) => secret.to_vec(),
        }
    }

    pub(super) fn ring(&self) -> KeyRing {
        let b64 = Base64UrlUnpadded::encode_string;
        let mut jwk: Value = match self {
            Self::Ed25519(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(&self.public()) }),
            Self::Es256(_) => {
                let point = self.public();
                json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65]) })
            }
            Self::Rs256(key) => json!({
                "kty": "RSA",
                "n": b64(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": b64(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Hs256(_, secret) => json!({ "kty": "oct", "k": b64(secret) }),
        };
        jwk["kid"] = json!(KID);
        KeyRing::from_jwks(json!({ "keys": [jwk] }).to_string().as_bytes()).expect("a ring")
    }

    /// The token with this number; all of them are good for an hour.
    pub(super) fn token(&self, number: usize, now: u64) -> String {
        let random = |length: usize| {
            let mut bits = vec![0; length];
            aws_lc_rs::rand::fill(&mut bits).expect("randomness");
            Base64UrlUnpadded::encode_string(&bits)
        };
        let header = json!({ "alg": self.alg(), "kid": KID, "typ": "at+jwt" });
        let claims = json!({
            "iss": ISSUER, "sub": format!("u_{}", random(16)), "aud": AUDIENCE, "client_id": "gateway",
            "iat": now, "exp": now + 3600, "jti": format!("t_{number}_{}", random(12)), "epoch": 1000,
            "roles": ["buyer"], "sid": format!("s_{}", random(16)),
        });
        let input = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(header.to_string().as_bytes()),
            Base64UrlUnpadded::encode_string(claims.to_string().as_bytes())
        );
        let signature = Base64UrlUnpadded::encode_string(&self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}
