//! Tokens as an attacker would make them: any header, any claims, any key that is not the right one.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

/// Base64url without padding.
pub fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The bytes of base64url without padding.
pub fn unb64(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap_or_else(|error| panic!("base64url {text:?}: {error}"))
}

/// The header of a compact token, unchecked.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a compact token, unchecked.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap_or_else(|| panic!("not a compact token: {token}"));
    serde_json::from_slice(&unb64(part)).expect("JSON")
}

/// Header and claims with no signature yet.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    unsigned_raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
}

/// The same from bytes, for what no JSON library would write.
pub fn unsigned_raw(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", b64(header), b64(claims))
}

/// A key to sign with.
pub enum Key {
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
    /// RSA, 2048 bits.
    Rsa(RsaKeyPair),
    /// HMAC with SHA-256.
    Hmac(Vec<u8>),
}

impl Key {
    /// A new Ed25519 key.
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
    }

    /// A new RSA key.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    /// The signed token.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&unsigned(header, claims))
    }

    /// Whatever text, with its signature.
    pub fn sign_text(&self, signed: &str) -> String {
        format!("{signed}.{}", b64(&self.signature(signed.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("signs");
                signature
            }
            Self::Hmac(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
        }
    }

    /// Its public part as a JWK.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ed25519(key) => {
                let x = b64(key.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig"})
            }
            Self::Rsa(key) => {
                let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
                let (n, e) = (b64(n.big_endian_without_leading_zero()), b64(e.big_endian_without_leading_zero()));
                json!({"kty": "RSA", "n": n, "e": e, "kid": kid, "alg": "RS256", "use": "sig"})
            }
            Self::Hmac(secret) => json!({"kty": "oct", "k": b64(secret), "kid": kid, "alg": "HS256"}),
        }
    }

    /// Its public part as PEM (SubjectPublicKeyInfo).
    pub fn pem(&self) -> String {
        use aws_lc_rs::encoding::AsDer;
        let der = match self {
            Self::Ed25519(key) => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key())
                .expect("DER")
                .as_ref()
                .to_vec(),
            Self::Rsa(key) => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key())
                .expect("DER")
                .as_ref()
                .to_vec(),
            Self::Hmac(_) => panic!("a secret has no public part"),
        };
        let text = base64ct::Base64::encode_string(&der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The name of its algorithm in a header.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
            Self::Hmac(_) => "HS256",
        }
    }
}

/// The bytes inside a PEM block.
pub fn der_of_pem(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64ct::Base64::decode_vec(&text).expect("base64")
}

/// The same base64url text for a decoder that ignores spare bits: the last character has a twin. `None` if the length
/// leaves no bits to spare.
pub fn twin(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spare = match text.len() % 4 {
        2 => 4,
        3 => 2,
        _ => return None,
    };
    let last = *text.as_bytes().last()?;
    let value = ALPHABET.iter().position(|byte| *byte == last)?;
    assert_eq!(value % (1 << spare), 0, "the product itself writes canonical base64url");
    let mut twin = text[..text.len() - 1].to_owned();
    twin.push(char::from(ALPHABET[value + 1]));
    Some(twin)
}

/// Unix seconds now.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// A claim set with one member changed; `Value::Null` takes it away.
pub fn with(claims: &Value, member: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    let members = changed.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(member);
    } else {
        members.insert(member.to_owned(), value);
    }
    changed
}
