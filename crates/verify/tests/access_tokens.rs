//! Access tokens, good ones and every way to be a bad one: each is refused for its own reason.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use propusk_verify::Reason;
use propusk_verify::jose::KeyRing;
use propusk_verify::token::{Profile, verify_access_token};
use serde_json::{Value, json};

const NOW: u64 = 1_795_356_000;
const KID: &str = "kPrK_qmxVWaYVA9w";
/// RFC 8037 appendix A: a key pair that everybody knows.
const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// What the authority signs for the header and claims below, pinned byte for byte.
const GOLDEN_INPUT: &str = concat!(
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImtQcktfcW14VldhWVZBOXciLCJ0eXAiOiJhdCtqd3QifQ.",
    "eyJhdWQiOiJjYXJzIiwiY2xpZW50X2lkIjoiZ2F0ZXdheSIsImVwb2NoIjo0MSwiZXhwIjoxNzk1MzU2NjAwLCJpYXQiOjE3OTUzNTYwMDAsImlzcyI6",
    "Imh0dHBzOi8vaWQuZXhhbXBsZS5jb20iLCJqdGkiOiJ0XzEiLCJyb2xlcyI6WyJidXllciJdLCJzaWQiOiJzXzEiLCJzdWIiOiJ1XzEifQ",
);

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": KID, "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example.com", "sub": "u_1", "aud": "cars", "client_id": "gateway", "iat": NOW,
        "exp": NOW + 600, "jti": "t_1", "epoch": 41, "roles": ["buyer"], "sid": "s_1",
    })
}

fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn signed_text(header: &str, claims: &str) -> String {
    let seed = Base64UrlUnpadded::decode_vec(SEED).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let input = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let signature = b64(key.sign(input.as_bytes()).as_ref());
    format!("{input}.{signature}")
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_text(&header.to_string(), &claims.to_string())
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn ring() -> KeyRing {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": X, "kid": KID, "use": "sig" });
    KeyRing::from_jwks(json!({ "keys": [key] }).to_string().as_bytes()).unwrap()
}

fn profile() -> Profile {
    Profile { issuer: "https://id.example.com".to_owned(), audience: "cars".to_owned(), leeway: Duration::from_secs(5) }
}

/// The reason's code; empty for a token that is taken.
fn reason_at(raw: &str, now: u64) -> &'static str {
    verify_access_token(raw, &ring(), &profile(), now).map_or_else(Reason::code, |_| "")
}

fn reason(raw: &str) -> &'static str {
    reason_at(raw, NOW)
}

#[test]
fn a_good_token_says_what_it_says() {
    let raw = signed(&header(), &with(claims(), "act", json!({ "sub": "cars", "act": { "sub": "posts" } })));
    let token = verify_access_token(&raw, &ring(), &profile(), NOW).unwrap();
    let claims = token.claims();
    assert_eq!((claims.sub.as_str(), claims.epoch, claims.roles.join(",")), ("u_1", 41, "buyer".to_owned()));
    assert_eq!(claims.actors().collect::<Vec<_>>(), ["cars", "posts"]);
    assert_eq!((token.kid(), token.alg().name()), (KID, "EdDSA"));
}

#[test]
fn the_wire_format_is_pinned() {
    let raw = signed(&header(), &claims());
    assert_eq!(raw.rsplit_once('.').unwrap().0, GOLDEN_INPUT);
    assert_eq!(reason(&raw), "");
}

#[test]
fn both_names_of_ed25519_and_every_spelling_of_the_kind_are_taken() {
    assert_eq!(reason(&signed(&with(header(), "alg", json!("Ed25519")), &claims())), "");
    for typ in ["at+JWT", "application/at+jwt", "APPLICATION/AT+JWT"] {
        assert_eq!(reason(&signed(&with(header(), "typ", json!(typ)), &claims())), "", "{typ}");
    }
}

#[test]
fn headers() {
    let cases = [
        (with(header(), "alg", json!("none")), "alg.not-allowed"),
        (with(header(), "alg", json!("nONe")), "alg.not-allowed"),
        (with(header(), "alg", json!("eddsa")), "alg.not-allowed"),
        (with(header(), "alg", json!("HS256")), "alg.key-mismatch"),
        (with(header(), "alg", json!("RS256")), "alg.key-mismatch"),
        (with(header(), "alg", json!(7)), "alg.missing"),
        (without(header(), "alg"), "alg.missing"),
        (without(header(), "kid"), "kid.missing"),
        (with(header(), "kid", json!("")), "kid.missing"),
        (with(header(), "kid", json!("a b")), "kid.missing"),
        (with(header(), "kid", json!("../../etc/passwd")), "kid.unknown"),
        (with(header(), "kid", json!("x".repeat(129))), "kid.missing"),
        (without(header(), "typ"), "header.typ"),
        (with(header(), "typ", json!("JWT")), "header.typ"),
        (with(header(), "typ", json!("logout+jwt")), "header.typ"),
        (with(header(), "typ", json!("txntoken+jwt")), "header.typ"),
        (with(header(), "crit", json!(["exp"])), "header.crit"),
        (with(header(), "b64", json!(false)), "header.crit"),
        (with(header(), "jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": X })), "header.embedded-key"),
        (with(header(), "jku", json!("https://evil.example/jwks.json")), "header.embedded-key"),
        (with(header(), "x5u", json!("https://evil.example/")), "header.embedded-key"),
        (with(header(), "x5c", json!([])), "header.embedded-key"),
    ];
    for (header, expected) in cases {
        assert_eq!(reason(&signed(&header, &claims())), expected, "{header}");
    }
}

#[test]
fn claims_are_there_and_of_their_type() {
    for name in ["iss", "sub", "aud", "client_id", "iat", "exp", "jti", "epoch"] {
        assert_eq!(reason(&signed(&header(), &without(claims(), name))), format!("{name}.missing"));
        for wrong in [json!(null), json!(true), json!([1]), json!({})] {
            let refused = reason(&signed(&header(), &with(claims(), name, wrong.clone())));
            assert_eq!(refused, format!("{name}.type"), "{wrong}");
        }
    }
    for name in ["iat", "exp", "epoch", "nbf"] {
        for wrong in [json!(NOW.to_string()), json!(-1), json!(1.5), json!(1e300)] {
            let refused = reason(&signed(&header(), &with(claims(), name, wrong.clone())));
            assert_eq!(refused, format!("{name}.type"), "{wrong}");
        }
    }
    for name in ["iss", "sub", "aud", "client_id", "jti", "sid"] {
        assert_eq!(reason(&signed(&header(), &with(claims(), name, json!("")))), format!("{name}.type"));
    }
}

#[test]
fn whose_and_for_whom() {
    let cases = [
        ("iss", json!("https://id.example.com/"), "iss.wrong"),
        ("iss", json!("https://evil.example"), "iss.wrong"),
        ("aud", json!("users"), "aud.wrong"),
        ("aud", json!(["cars"]), "aud.type"),
        ("cnf", json!({ "jkt": "x" }), "cnf.unsupported"),
        ("act", json!("cars"), "act.type"),
        ("act", json!({ "sub": "" }), "act.type"),
        ("act", json!({ "sub": "cars", "act": "posts" }), "act.type"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(reason(&signed(&header(), &with(claims(), name, value))), expected, "{name}");
    }
    let chain = |longer| (0..longer).fold(json!({ "sub": "a" }), |act, _| json!({ "sub": "a", "act": act }));
    assert_eq!(reason(&signed(&header(), &with(claims(), "act", chain(7)))), "");
    assert_eq!(reason(&signed(&header(), &with(claims(), "act", chain(8)))), "act.depth");
}

#[test]
fn times_with_leeway() {
    let raw = signed(&header(), &with(claims(), "nbf", json!(NOW)));
    assert_eq!(reason_at(&raw, NOW + 604), "");
    assert_eq!(reason_at(&raw, NOW + 605), "exp.past");
    assert_eq!(reason_at(&raw, NOW - 5), "");
    assert_eq!(reason_at(&raw, NOW - 6), "nbf.future");
    assert_eq!(reason_at(&signed(&header(), &claims()), NOW - 6), "iat.future");
    assert_eq!(reason_at(&signed(&header(), &with(claims(), "exp", json!(u64::MAX))), NOW), "");
}

#[test]
fn a_member_twice_is_refused_at_every_depth() {
    let header = header().to_string();
    let prefixed = |prefix: &str| claims().to_string().replacen('{', prefix, 1);
    for prefix in ["{\"aud\":\"users\",", "{\"\\u0061ud\":\"users\",", "{\"x\":[{\"a\":1,\"a\":2}],"] {
        assert_eq!(reason(&signed_text(&header, &prefixed(prefix))), "claims.duplicate", "{prefix}");
    }
    let in_header = header.replacen('{', "{\"alg\":\"none\",", 1);
    assert_eq!(reason(&signed_text(&in_header, &claims().to_string())), "header.duplicate");
}

#[test]
fn forms() {
    let good = signed(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("{good}") };
    let cases = [
        (String::new(), "form.segments"),
        ("abcd.abcd".to_owned(), "form.segments"),
        (format!("{good}.abcd.abcd"), "form.segments"),
        (format!("{good}="), "form.alphabet"),
        (format!("{good} "), "form.alphabet"),
        (format!("{header}.{payload}.+{signature}"), "form.alphabet"),
        (format!("{header}.{payload}."), "signature.invalid"),
        (format!("{header}..{signature}"), "signature.invalid"),
        (format!(".{payload}.{signature}"), "header.json"),
        (good[..good.len() - 1].to_owned(), "form.base64"),
        (format!("{good}{}", "A".repeat(8192)), "form.too-large"),
    ];
    for (raw, expected) in cases {
        assert_eq!(reason(&raw), expected, "{raw}");
    }
    // 64 bytes of signature are 86 characters with four spare bits: of all last characters one is right.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let respelt = |last: &char| format!("{header}.{payload}.{}{last}", &signature[..85]);
    let right: String = alphabet.chars().filter(|last| reason(&respelt(last)).is_empty()).collect();
    assert_eq!(right, signature[85..]);
}

#[test]
fn a_public_key_is_no_secret() {
    let header = with(header(), "alg", json!("HS256"));
    let input = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims().to_string().as_bytes()));
    let public = Base64UrlUnpadded::decode_vec(X).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), input.as_bytes());
    assert_eq!(reason(&format!("{input}.{}", b64(tag.as_ref()))), "alg.key-mismatch");
}

proptest! {
    #[test]
    fn no_text_panics_and_none_but_a_token_is_good(raw in "[A-Za-z0-9_.-]{0,200}") {
        prop_assert!(!reason(&raw).is_empty());
    }

    #[test]
    fn no_changed_byte_is_good(at in 0_usize..1000, to in proptest::char::range('0', 'z')) {
        let good = signed(&header(), &claims());
        let mut changed: Vec<char> = good.chars().collect();
        let at = at % changed.len();
        prop_assume!(changed[at] != to);
        changed[at] = to;
        prop_assert!(!reason(&changed.into_iter().collect::<String>()).is_empty());
    }

    #[test]
    fn arbitrary_claims_never_panic(text in ".{0,300}") {
        prop_assert!(!reason(&signed_text(&header().to_string(), &text)).is_empty());
    }
}
