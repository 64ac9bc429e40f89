//! Verifiers that only fetch keys: a key set again when its `max-age` is over, or one PEM again when a signature fails.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use e2e::forge::{der_of_pem, unb64};
use e2e::run;
use e2e::system::{Options, System};
use serde_json::Value;

use super::{active, kid_of, rotate};
use crate::flask::{Flask, PYTHON};

const MAX_AGE: Duration = Duration::from_secs(3);
/// How often a verifier that knows only PEM fetches again.
const COOLDOWN: Duration = Duration::from_secs(5);

async fn start() -> System {
    let max_age = format!("{}s", MAX_AGE.as_secs());
    System::start(&Options::new().set("keys.settle", "0s").set("keys.jwks_max_age", &max_age))
}

/// Whether the signature is one by this key.
fn is_by(public: &[u8], token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &unb64(signature)).is_ok()
}

/// Keeps a key set for exactly as long as it may.
struct BySet {
    fetched: Instant,
    max_age: Duration,
    keys: Vec<(String, Vec<u8>)>,
}

impl BySet {
    async fn fetch(system: &System) -> Self {
        let answer = system.http.get(&system.authority("/keys/cars/jwks.json")).send().await.expect(200);
        let max_age = answer.header("cache-control").split("max-age=").nth(1).and_then(|age| age.parse().ok());
        let jwks = answer.json();
        let text = |key: &Value, member: &str| key[member].as_str().expect("a text").to_owned();
        let keys = jwks["keys"].as_array().expect("keys").iter();
        Self {
            // Counted from the answer, as the most patient would.
            fetched: Instant::now(),
            max_age: Duration::from_secs(max_age.unwrap_or_else(|| panic!("no max-age\n{answer}"))),
            keys: keys.map(|key| (text(key, "kid"), unb64(&text(key, "x")))).collect(),
        }
    }

    async fn accepts(&mut self, system: &System, token: &str) -> bool {
        if self.fetched.elapsed() > self.max_age {
            *self = Self::fetch(system).await;
        }
        let kid = kid_of(token);
        self.keys.iter().any(|(known, key)| *known == kid && is_by(key, token))
    }
}

/// Keeps the last two keys of one address, the newest first.
struct ByPem {
    tried: Instant,
    keys: VecDeque<Vec<u8>>,
}

impl ByPem {
    async fn fetch(&mut self, system: &System) {
        let answer = system.http.get(&system.authority("/keys/cars/public.pem")).send().await.expect(200);
        let key = der_of_pem(&answer.text()).split_off(12);
        self.tried = Instant::now();
        if !self.keys.contains(&key) {
            self.keys.push_front(key);
            self.keys.truncate(2);
        }
    }

    async fn accepts(&mut self, system: &System, token: &str) -> bool {
        if !self.keys.iter().any(|key| is_by(key, token)) && self.tried.elapsed() >= COOLDOWN {
            self.fetch(system).await;
        }
        self.keys.iter().any(|key| is_by(key, token))
    }
}

#[test]
fn verifiers_that_only_fetch_keys_take_every_token_through_a_rotation() {
    run(async {
        let system = start().await;
        let old = active(&system, "cars").await;
        let mut by_set = BySet::fetch(&system).await;
        assert_eq!(by_set.max_age, MAX_AGE);
        let mut by_pem = ByPem { tried: Instant::now(), keys: VecDeque::new() };
        by_pem.fetch(&system).await;
        let mut seen = BTreeSet::new();
        let first = rotate_after_a_cooldown(&system, &mut seen, &mut by_set, &mut by_pem).await;
        let second = rotate_after_a_cooldown(&system, &mut seen, &mut by_set, &mut by_pem).await;
        assert_eq!(seen, BTreeSet::from([old, first, second]), "the keys of the tokens that were taken");
    });
}

/// Mints and offers tokens all the time, through a rotation and some more.
async fn rotate_after_a_cooldown(
    system: &System,
    seen: &mut BTreeSet<String>,
    by_set: &mut BySet,
    by_pem: &mut ByPem,
) -> String {
    let mut next = None;
    let mut signs_since = None;
    let begun = Instant::now();
    loop {
        let token = system.client_token("demo-m2m", "cars").await;
        let kid = kid_of(&token);
        assert!(by_set.accepts(system, &token).await, "{kid} is in no key set that may be in use");
        assert!(by_pem.accepts(system, &token).await, "{kid} is not the key that signs, and was not");
        if next.as_ref() == Some(&kid) {
            signs_since.get_or_insert_with(Instant::now);
        }
        seen.insert(kid);
        match (&next, signs_since) {
            (None, _) if by_pem.tried.elapsed() >= COOLDOWN => next = Some(rotate(system, "cars").await),
            (Some(next), Some(since)) if since.elapsed() > MAX_AGE + Duration::from_secs(1) => return next.clone(),
            _ => {}
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "no rotation: {next:?}");
        e2e::time_passes(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_service_in_another_language_lives_through_a_rotation() {
    run(async {
        let Some(python) = PYTHON.as_deref() else { return };
        let system = start().await;
        let person = system.register("flask-rotation").await;
        for service in ["cars", "posts"] {
            let pem = system.authority(&format!("/keys/{service}/public.pem"));
            let flask = Flask::start(python, &system.ready.issuer, service, &pem, "5");
            let before = system.login(&person, service).await.access;
            flask.ask(&system, &before).await.expect(200);
            e2e::time_passes(COOLDOWN).await;
            let next = rotate(&system, service).await;
            let (begun, mut taken) = (Instant::now(), 0);
            while taken < 20 {
                let token = system.login(&person, service).await.access;
                flask.ask(&system, &token).await.expect(200);
                flask.ask(&system, &before).await.expect(200);
                taken += usize::from(kid_of(&token) == next);
                assert!(begun.elapsed() < Duration::from_secs(60), "no rotation");
            }
        }
    });
}
