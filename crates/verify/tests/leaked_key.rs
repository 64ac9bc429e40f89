//! A token that was forged with a leaked key, and verified and kept before anybody knew, stays refused for good.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures_util::FutureExt as _;
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, View};
use propusk_verify::jose::KeyRing;
use propusk_verify::{Demand, Verifier};
use serde_json::{Value, json};

const LEAKED: &str = "leaked";

fn forged(key: &Ed25519KeyPair, now: u64) -> String {
    let b64 = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let header = b64(json!({ "alg": "EdDSA", "kid": LEAKED, "typ": "at+jwt" }));
    let claims = b64(json!({
        "iss": "https://id.example.com", "sub": "u_1", "aud": "cars", "client_id": "gateway", "iat": now,
        "exp": now + 1_000_000, "jti": "t_1", "epoch": 1_000_000, "roles": ["admin"],
    }));
    let input = format!("{header}.{claims}");
    let signature = Base64UrlUnpadded::encode_string(key.sign(input.as_bytes()).as_ref());
    format!("{input}.{signature}")
}

fn ring(keys: &[(&str, &Ed25519KeyPair)]) -> Change {
    let jwk = |(kid, key): &(&str, &Ed25519KeyPair)| {
        let x = Base64UrlUnpadded::encode_string(key.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid })
    };
    let jwks = json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() });
    let ring = Arc::new(KeyRing::from_jwks(jwks.to_string().as_bytes()).unwrap());
    Change::KeysChanged { aud: "cars".to_owned(), ring }
}

#[test]
fn a_forged_token_does_not_come_back_when_the_revocation_of_its_key_is_forgotten() {
    let now = SystemClock.unix_seconds();
    let [leaked, spare] = [0; 2].map(|_| Ed25519KeyPair::generate().unwrap());
    let view = Arc::new(View::new(["cars"]));
    let mut follower = Follower::new(Instance::draw(), Drift::default());
    let renewal = follower.renew(SystemClock.moment());
    let mut publish = |from: u64, floor: u64, change: Change| {
        let event = Event { seq: from + 1, until: now + 60, change };
        follower.batch(&view, Batch { from, to: from + 1, floor, events: vec![event], part: 0, last: true });
        let grant = Grant { n: renewal.n, head: 1, lease: Duration::from_secs(60), age: Duration::ZERO, floor };
        follower.grant(&view, grant, SystemClock.moment());
    };
    publish(0, 1, ring(&[(LEAKED, &leaked), ("spare", &spare)]));
    let verifier = Verifier::builder()
        .issuer("https://id.example.com")
        .audience("cars")
        .view(Arc::clone(&view))
        .max_staleness(Duration::from_secs(60))
        .build();
    let raw = forged(&leaked, now);
    let verdict = || {
        let decided = verifier.decide(&raw, &Demand::ordinary()).now_or_never().unwrap();
        decided.map_or_else(|refusal| refusal.reason.code(), |_| "let in")
    };
    assert_eq!(verdict(), "let in", "nobody knows yet that the key leaked");
    publish(1, 1, Change::KeyRevoked(LEAKED.to_owned()));
    assert_eq!(verdict(), "state.stale");
    publish(2, 1, ring(&[("spare", &spare)]));
    // The floor passes the event's end, and it is forgotten.
    for floor in now + 60..now + 100 {
        publish(3 + floor - now - 60, floor, Change::TokenRevoked("another".to_owned()));
    }
    assert_eq!(view.len(), 1, "only the newest event is left");
    assert_eq!(verdict(), "kid.unknown");
}
