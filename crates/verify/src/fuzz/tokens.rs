//! Access tokens: as texts that anybody can send, and signed, so that what is behind the signature is reached.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value, json};

use super::engine::{Rng, Target};
use super::json::{colons, members};
use super::make::spoilt;
use crate::jose::{Alg, KeyRing, VerifyingKey, decode};
use crate::token::{MAX_ACTORS, MAX_TOKEN_BYTES, Profile, verify_access_token};

const NOW: u64 = 1_795_356_000;
const LEEWAY: u64 = 5;
const ISSUER: &str = "https://id.example.com";
const SECRET: [u8; 32] = [7; 32];

static SIGNER: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap());
static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let x = Base64UrlUnpadded::encode_string(SIGNER.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x });
    let mut ring = KeyRing::default();
    ring.insert("ed", VerifyingKey::from_jwk(&jwk).unwrap().1);
    ring.insert("hs", VerifyingKey::hs256(&SECRET).unwrap());
    ring
});
/// All the tokens that the fuzzer's authority has ever signed, as far as texts are concerned.
static GOOD: LazyLock<[String; 2]> = LazyLock::new(|| {
    ["ed", "hs"].map(|kid| sign(kid, header(kid).to_string().as_bytes(), claims().to_string().as_bytes()))
});

#[test]
fn token_texts() {
    let words = &[".", "..", "eyJ", "e30", "bnVsbA", "AAAA", "=", "-_", "eyJhbGciOiJub25lIn0"];
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let outcome = outcome(&text);
        // Nobody but the authority can make one, not even a second spelling of one.
        assert_eq!(outcome.is_empty(), GOOD.iter().any(|good| *good == *text), "{text}");
        outcome
    };
    Target { name: "token-texts", make: text, words, run }.fuzz();
}

#[test]
fn signed_tokens() {
    let words = &[
        "\"alg\":",
        "\"none\"",
        "\"HS256\"",
        "\"kid\":",
        "\"typ\":\"at+jwt\"",
        "\"crit\":[]",
        "\"b64\":false",
        "\"jwk\":{}",
        "\"cnf\":{}",
        "\"act\":{\"sub\":\"a\",",
        "\"exp\":",
        "\"aud\":",
        "1795356000",
        "\\u0061",
        "null",
        "[]",
        "{}",
        ",",
        "1e3",
    ];
    let run = |input: &[u8]| {
        let (kid, header, claims) = parts(input);
        let text = sign(kid, header, claims);
        let outcome = outcome(&text);
        let expected = text.len() <= MAX_TOKEN_BYTES && is_good_header(kid, header) && is_good(claims);
        assert_eq!(
            outcome.is_empty(),
            expected,
            "{outcome} {} {}",
            String::from_utf8_lossy(header),
            String::from_utf8_lossy(claims)
        );
        outcome
    };
    Target { name: "signed-tokens", make: signed, words, run }.fuzz();
}

/// The reason's code; empty for a token that is taken.
fn outcome(text: &str) -> &'static str {
    let profile =
        Profile { issuer: ISSUER.to_owned(), audience: "cars".to_owned(), leeway: Duration::from_secs(LEEWAY) };
    verify_access_token(text, &RING, &profile, NOW).map_or_else(crate::Reason::code, |_| "")
}

fn header(kid: &str) -> Value {
    let alg = if kid == "ed" { "EdDSA" } else { "HS256" };
    json!({ "alg": alg, "kid": kid, "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "u_1", "aud": "cars", "client_id": "gateway", "iat": NOW, "exp": NOW + 600, "nbf": NOW,
        "jti": "t_1", "epoch": 41, "roles": ["buyer"], "sid": "s_1", "scope": "", "act": { "sub": "a", "act": { "sub": "b" } },
    })
}

fn sign(kid: &str, header: &[u8], claims: &[u8]) -> String {
    let b64 = Base64UrlUnpadded::encode_string;
    let input = format!("{}.{}", b64(header), b64(claims));
    let signature = match kid {
        "ed" => b64(SIGNER.sign(input.as_bytes()).as_ref()),
        _ => b64(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), input.as_bytes()).as_ref()),
    };
    format!("{input}.{signature}")
}

/// A good token; or one whose header or claims were changed after it was signed.
fn text(rng: &mut Rng) -> Vec<u8> {
    let good = rng.pick(&*GOOD).clone();
    let parts: Vec<&str> = good.split('.').collect();
    let b64 = |text: String| Base64UrlUnpadded::encode_string(text.as_bytes());
    let object = |part: &str| serde_json::from_slice(&decode(part).unwrap()).unwrap();
    let text = match rng.below(4) {
        0 => good,
        1 => format!("{}.{}.{}", b64(spoilt(object(parts[0]), rng)), parts[1], parts[2]),
        2 => format!("{}.{}.{}", parts[0], b64(spoilt(object(parts[1]), rng)), parts[2]),
        _ => format!("{}.{}.{}", parts[0], parts[1], &parts[2][..rng.below(parts[2].len())]),
    };
    text.into_bytes()
}

/// Who signs, the header, a zero byte, and the claims.
fn signed(rng: &mut Rng) -> Vec<u8> {
    let kid = *rng.pick(&["ed", "hs"]);
    let header = if rng.one_in(2) { header(kid).to_string() } else { spoilt(header(kid), rng) };
    format!("{}{header}\0{}", &kid[..1], spoilt(claims(), rng)).into_bytes()
}

fn parts(input: &[u8]) -> (&'static str, &[u8], &[u8]) {
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let middle = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    (if *first == b'e' { "ed" } else { "hs" }, &rest[..middle], rest.get(middle + 1..).unwrap_or_default())
}

/// What a header has to be, said once more and in another way.
fn is_good_header(kid: &str, bytes: &[u8]) -> bool {
    let Some(header) = object(bytes) else { return false };
    let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
    let algs: &[&str] = if kid == "ed" { &["EdDSA", "Ed25519"] } else { &["HS256"] };
    ["at+jwt", "application/at+jwt"].contains(&&*text("typ").to_ascii_lowercase())
        && text("kid") == kid
        && algs.contains(&text("alg"))
        && Alg::ALL.iter().any(|alg| alg.name() == text("alg"))
        && ["crit", "b64", "jwk", "jku", "x5c", "x5u"].iter().all(|name| !header.contains_key(*name))
}

/// What the claims have to be, said once more and in another way.
fn is_good(bytes: &[u8]) -> bool {
    let Some(claims) = object(bytes) else { return false };
    let is_text = |name: &str| claims.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let number = |name: &str| claims.get(name).and_then(Value::as_u64);
    let absent_or = |name: &str, is_right: &dyn Fn(&Value) -> bool| claims.get(name).is_none_or(is_right);
    !claims.contains_key("cnf")
        && ["iss", "sub", "aud", "client_id", "jti"].iter().all(|name| is_text(name))
        && claims["iss"] == ISSUER
        && claims["aud"] == "cars"
        && number("epoch").is_some()
        && number("iat").is_some_and(|iat| iat <= NOW + LEEWAY)
        && number("exp").is_some_and(|exp| exp > NOW - LEEWAY)
        && absent_or("nbf", &|nbf| nbf.as_u64().is_some_and(|nbf| nbf <= NOW + LEEWAY))
        && absent_or("roles", &|roles| roles.as_array().is_some_and(|roles| roles.iter().all(Value::is_string)))
        && absent_or("scope", &Value::is_string)
        && absent_or("sid", &|_| is_text("sid"))
        && absent_or("act", &|act| is_chain(act, MAX_ACTORS))
}

fn is_chain(act: &Value, most: usize) -> bool {
    let is_named = act.get("sub").and_then(Value::as_str).is_some_and(|sub| !sub.is_empty());
    most > 0 && is_named && act.get("act").is_none_or(|inner| is_chain(inner, most - 1))
}

/// An object without a member that comes twice.
fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if colons(bytes) > members(&value) {
        return None;
    }
    value.as_object().cloned()
}
