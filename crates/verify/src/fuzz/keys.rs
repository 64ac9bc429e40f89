//! Key sets and PEM: what is taken is public, whole, and checks nothing that was not signed.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaPublicKeyComponents,
};
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

use super::engine::{Rng, Target};
use super::make::spoilt;
use crate::jose::{Alg, KeyError, KeyRing, VerifyingKey};

/// Three public keys: as members of a JWK, and as the DER of a SubjectPublicKeyInfo.
static KEYS: LazyLock<[(Value, Vec<u8>); 3]> = LazyLock::new(|| {
    let b64 = Base64UrlUnpadded::encode_string;
    let ed = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = ec.public_key().as_ref();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
    let der = |key: &dyn AsDer<PublicKeyX509Der<'static>>| key.as_der().unwrap().as_ref().to_vec();
    [
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(ed.public_key().as_ref()) }), der(ed.public_key())),
        (json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) }), der(ec.public_key())),
        (json!({ "kty": "RSA", "n": b64(&n), "e": b64(&e) }), der(rsa.public_key())),
    ]
});

#[test]
fn key_sets() {
    let words = &[
        "\"keys\":[",
        "\"kty\":\"oct\"",
        "\"k\":\"",
        "\"d\":\"AA\"",
        "\"crv\":\"Ed25519\"",
        "\"use\":\"enc\"",
        "\"key_ops\":[\"verify\"]",
        "\"kid\":\"a\"",
        "\"alg\":\"RS256\"",
        "\"e\":\"AQ\"",
        "\"e\":\"AQAB\"",
        "AAAAAAAAAAAAAAAA",
        "{}",
        ",",
        "null",
    ];
    Target { name: "key-sets", make: set, words, run: read_set }.fuzz();
}

#[test]
fn pem() {
    let words = &[
        "-----BEGIN PUBLIC KEY-----",
        "-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----",
        "\n",
        "\r\n",
        "=",
        "==",
        "MCowBQYDK2VwAyEA",
    ];
    Target { name: "pem", make: pem_text, words, run: read_pem }.fuzz();
}

fn set(rng: &mut Rng) -> Vec<u8> {
    let keys: Vec<String> = (0..rng.below(4)).map(|_| jwk(rng)).collect();
    format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes()
}

fn jwk(rng: &mut Rng) -> String {
    let mut jwk = match rng.below(4) {
        number @ 0..3 => KEYS[number].0.clone(),
        _ => json!({ "kty": "oct", "k": Base64UrlUnpadded::encode_string(&vec![7; 28 + rng.below(8)]) }),
    };
    jwk["kid"] = json!(*rng.pick(&["a", "b", "c", "d"]));
    let more = [
        ("use", json!("sig")),
        ("alg", json!(rng.pick(&Alg::ALL).name())),
        ("key_ops", json!(["verify"])),
        ("d", json!("AA")),
    ];
    for (name, value) in more {
        if rng.one_in(6) {
            jwk[name] = value;
        }
    }
    if rng.one_in(2) { jwk.to_string() } else { spoilt(jwk, rng) }
}

fn read_set(input: &[u8]) -> Vec<String> {
    let ring = KeyRing::from_jwks(input);
    let public = KeyRing::from_public_jwks(input);
    let ring = match ring {
        Ok(ring) => ring,
        Err(error) => {
            assert_eq!(public.map(|_| ()), Err(error));
            return vec![format!("{error:?}")];
        }
    };
    let set: Value = serde_json::from_slice(input).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let named = |kid: &str| keys.iter().filter(|key| key["kid"] == kid).collect::<Vec<_>>();
    assert!(keys.iter().all(|key| key["kty"] == "oct" || key.get("d").is_none()), "a private key was taken");
    let mut kinds = Vec::new();
    for kid in ring.kids() {
        let key = ring.get(kid).unwrap();
        // A key has the algorithm that its set says, if it says one, and its type allows no other.
        assert!(named(kid).iter().any(|jwk| {
            let says = |alg: &Value| alg.as_str().is_some_and(|alg| alg.parse().is_ok_and(|alg| key.accepts(alg)));
            let alg = jwk.get("alg").is_none_or(says);
            alg && jwk["kty"] == kty(key)
        }));
        checks_nothing(key);
        kinds.push(key.alg().to_string());
    }
    assert!(ring.len() <= keys.len());
    let has_secret = ring.kids().any(|kid| ring.get(kid).unwrap().is_symmetric());
    assert_eq!(public.map(|public| public.len()), if has_secret { Err(KeyError::Private) } else { Ok(ring.len()) });
    kinds
}

fn kty(key: &VerifyingKey) -> &'static str {
    match key.alg() {
        Alg::EdDsa | Alg::Ed25519 => "OKP",
        Alg::Es256 => "EC",
        Alg::Rs256 => "RSA",
        Alg::Hs256 => "oct",
    }
}

/// The algorithm that is asked for, and a text.
fn pem_text(rng: &mut Rng) -> Vec<u8> {
    let mut der = rng.pick(&*KEYS).1.clone();
    if rng.one_in(3) {
        let at = rng.below(der.len());
        der[at] = rng.byte();
    }
    if rng.one_in(8) {
        der.truncate(rng.below(der.len()));
    }
    let body = Base64::encode_string(&der);
    let line = *rng.pick(&[1, 16, 64, 1000]);
    let lines: Vec<&str> = body.as_bytes().chunks(line).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let (kind, end) =
        (*rng.pick(&["PUBLIC", "PUBLIC", "PUBLIC", "PRIVATE", "RSA PUBLIC"]), *rng.pick(&["\n", "\r\n", ""]));
    let text = format!("-----BEGIN {kind} KEY-----{end}{}{end}-----END {kind} KEY-----{end}", lines.join(end));
    [&[rng.byte()], text.as_bytes()].concat()
}

fn read_pem(input: &[u8]) -> (Alg, Option<KeyError>) {
    let (first, text) = input.split_first().unwrap_or((&0, &[]));
    let (alg, text) = (Alg::ALL[usize::from(*first) % Alg::ALL.len()], String::from_utf8_lossy(text));
    match VerifyingKey::from_spki_pem(&text, alg) {
        Ok(key) => {
            assert!(key.accepts(alg) && !key.is_symmetric() && !text.contains("PRIVATE"), "{text}");
            checks_nothing(&key);
            // White space may be added, and nothing else.
            let with = |more: &str| text.replacen("KEY-----", &format!("KEY-----{more}"), 1);
            assert!(VerifyingKey::from_spki_pem(&with("\n\n"), alg).is_ok());
            assert!(VerifyingKey::from_spki_pem(&with("*"), alg).is_err());
            (alg, None)
        }
        Err(error) => (alg, Some(error)),
    }
}

/// Nobody has signed this.
fn checks_nothing(key: &VerifyingKey) {
    for alg in Alg::ALL {
        for length in [0, 1, 32, 64, 256] {
            assert!(!key.verify(alg, b"a message", &vec![1; length]), "{alg}");
        }
    }
}
