//! Key rotation that nobody notices, and emergency revocation that everybody gets over: under load, with a verifier that
//! is frozen meanwhile, and with verifiers that only fetch keys.
//!
//! What is to hold: a new key signs only once every live verifier has it, and every key set that may still be in use.

mod frozen;
mod load;
mod pull;

use std::time::{Duration, Instant};

use e2e::alone;
use e2e::forge::{self, claims, header, with};
use e2e::http::Refusal;
use e2e::leak::Leaked;
use e2e::system::{Options, START_LIMIT, System, product};
use serde_json::{Value, json};

use load::Load;

/// Of access tokens, shortened.
const TOKEN_LIFE: Duration = Duration::from_secs(5);
/// `E2E_ROTATION_RATE` sets another number of requests a second.
const RATE: f64 = 500.0;

/// The keys of a service.
async fn keys(system: &System, service: &str) -> Vec<Value> {
    let answer = system.admin("GET", &format!("/services/{service}/keys")).await.expect(200);
    answer.json()["items"].as_array().unwrap_or_else(|| panic!("no list\n{answer}")).clone()
}

/// The only key in this state.
async fn key_in(system: &System, service: &str, state: &str) -> Option<Value> {
    let mut found = keys(system, service).await;
    found.retain(|key| key["state"] == state);
    assert!(found.len() <= 1 || state == "retiring" || state == "revoked", "{found:?}");
    found.pop()
}

fn kid(key: &Value) -> String {
    key["kid"].as_str().unwrap_or_else(|| panic!("no kid: {key}")).to_owned()
}

async fn active(system: &System, service: &str) -> String {
    kid(&key_in(system, service, "active").await.expect("one key signs"))
}

/// Begins a rotation; the key that will sign.
async fn rotate(system: &System, service: &str) -> String {
    let answer = system.admin("POST", &format!("/services/{service}/keys/rotate")).await.expect(202);
    assert_eq!(answer.field("state"), "staged", "\n{answer}");
    assert!(answer.json()["seq"].as_u64().is_some_and(|seq| seq > 0), "\n{answer}");
    answer.field("kid")
}

async fn until_active(system: &System, service: &str, next: &str) {
    e2e::eventually_async(&format!("{next} signs for {service}"), START_LIMIT, || async {
        (active(system, service).await == next).then_some(())
    })
    .await;
}

/// The `kid` of a token as it is minted now.
async fn signs_with(system: &System, service: &str) -> String {
    kid_of(&system.client_token("demo-m2m", service).await)
}

fn kid_of(token: &str) -> String {
    kid(&header(token))
}

/// Waits until all four parts that verify have applied the head of the log.
async fn wait_until_current(system: &System) {
    e2e::eventually_async("every verifier is up to date", START_LIMIT, || async {
        let answer = system.admin("GET", "/verifiers").await.expect(200).json();
        let all = answer["items"].as_array().cloned().unwrap_or_default();
        let is_current = |verifier: &Value| verifier["applied_seq"] == verifier["head_seq"];
        let names = ["users", "posts", "cars", "gateway"];
        let has = |name: &str| all.iter().any(|verifier| verifier["service"] == name && is_current(verifier));
        names.into_iter().all(has).then_some(())
    })
    .await;
}

#[test]
fn rotation_and_emergency_revocation_under_load() {
    alone(async {
        let options = Options::new().split().set("token.access_ttl", &format!("{}s", TOKEN_LIFE.as_secs()));
        let options = options.set("token.leeway", "1s").set("log.level", "warn");
        let system = System::start(&options.set("keys.settle", "1s").set("keys.jwks_max_age", "1s"));
        wait_until_current(&system).await;
        let rate = std::env::var("E2E_ROTATION_RATE").map_or(RATE, |text| text.parse().expect("a number"));
        let load = Load::prepare(&system, rate).await;
        let begun = Instant::now();
        let (timeline, ()) = tokio::join!(
            async {
                let timeline = timeline(&system).await;
                while begun.elapsed() < 3 * TOKEN_LIFE {
                    e2e::time_passes(Duration::from_millis(100)).await;
                }
                load.stop();
                timeline
            },
            load.run(),
        );
        let took = begun.elapsed();
        let tally = load.finish().await;
        eprintln!("{:.0} requests/s for {took:?}: {tally}", tally.answered() as f64 / took.as_secs_f64());
        assert!(tally.wrong.is_empty(), "{tally}\n{}", system.log.text());
        assert!(tally.answered() as f64 >= rate * took.as_secs_f64(), "{} in {took:?}", tally.answered());
        for kid in timeline {
            assert!(tally.kids.contains(&kid), "no token under {kid} was used: {tally}");
        }
        assert!(tally.count("stale, refreshed") > 0, "the emergencies hit nobody: {tally}");
    });
}

/// A rotation of every service, then two emergencies; the keys that signed meanwhile.
async fn timeline(system: &System) -> Vec<String> {
    const SERVICES: [&str; 4] = ["cars", "posts", "users", "propusk"];
    let mut signed = Vec::new();
    for service in SERVICES {
        signed.push(active(system, service).await);
    }
    e2e::time_passes(Duration::from_secs(1)).await;
    let mut rotating = Vec::new();
    for service in SERVICES {
        rotating.push((service, rotate(system, service).await));
    }
    for (service, next) in rotating {
        until_active(system, service, &next).await;
        assert_eq!(signs_with_if_asked(system, service).await.unwrap_or_else(|| next.clone()), next);
        signed.push(next);
    }
    // Meanwhile every token is renewed.
    e2e::time_passes(TOKEN_LIFE + Duration::from_secs(2)).await;
    for service in ["cars", "propusk"] {
        let old = active(system, service).await;
        let next = kid(&key_in(system, service, "staged").await.expect("a spare"));
        system.admin("POST", &format!("/keys/{old}/revoke")).await.expect_enforced();
        assert_eq!(active(system, service).await, next, "at once");
        assert_eq!(kid(&key_in(system, service, "revoked").await.expect("revoked")), old);
        let jwks = system.http.get(&system.authority(&format!("/keys/{service}/jwks.json"))).send().await.text();
        assert!(!jwks.contains(&old) && jwks.contains(&next), "{jwks}");
        signed.push(next);
        e2e::time_passes(Duration::from_secs(1)).await;
    }
    signed
}

/// No client of the demo gets tokens for the authority itself.
async fn signs_with_if_asked(system: &System, service: &str) -> Option<String> {
    if service == "propusk" { None } else { Some(signs_with(system, service).await) }
}

#[test]
fn a_schedule_rotates_by_itself_and_survives_a_restart_of_the_authority() {
    e2e::run(async {
        let options = Options::new().split().set("keys.settle", "1s").set("keys.jwks_max_age", "1s");
        let system = System::start(&options.set("keys.rotate_every", "2s"));
        let first = active(&system, "cars").await;
        let other = |before: String| {
            let system = &system;
            async move {
                e2e::eventually_async("another key signs", START_LIMIT, || async {
                    let now = active(system, "cars").await;
                    (now != before).then_some(now)
                })
                .await
            }
        };
        let second = other(first.clone()).await;
        system.kill("authority");
        system.restart("authority");
        system.wait_ready("authority").await;
        let third = other(second).await;
        assert_ne!(first, third);
        let retiring = keys(&system, "cars").await;
        let retiring: Vec<&Value> = retiring.iter().filter(|key| key["state"] == "retiring").collect();
        assert!(retiring.len() >= 2, "{retiring:?}");
        assert!(retiring.iter().all(|key| key["gone_at"].as_str().is_some_and(|at| at.ends_with('Z'))), "{retiring:?}");
    });
}

#[test]
fn a_leaked_key_forges_nothing_any_more_once_it_is_revoked() {
    e2e::run(async {
        let system = System::start(&Options::new());
        wait_until_current(&system).await;
        let person = system.register("robbed").await;
        let token = system.login(&person, "cars").await.access;
        let leaked = Leaked::of(&system, "cars");
        let forged = |jti: &str| {
            let changes = [("jti", json!(jti)), ("epoch", json!(u32::MAX)), ("exp", json!(forge::now() + 3_000))];
            let claims = changes.into_iter().fold(claims(&token), |claims, (name, value)| with(&claims, name, value));
            leaked.key.sign(&header(&token), &claims)
        };
        let before = forged("t_before");
        system.elite("cars", &before).await.expect(200);
        system.ordinary("cars", &before).await.expect(200);
        system.admin("POST", &format!("/keys/{}/revoke", leaked.kid)).await.expect_enforced();
        for token in [&before, &forged("t_after"), &token] {
            system.elite("cars", token).await.expect_refusal(Refusal::Stale);
            system.ordinary("cars", token).await.expect_refusal(Refusal::Stale);
            assert_eq!(system.introspect("cars", token).await, json!({"active": false}));
            assert_ne!(system.exchange("cars", token, "users").await.status, 200);
        }
        // A stale token is to be refreshed, and nothing else.
        let again = system.login(&person, "cars").await.access;
        system.elite("cars", &again).await.expect(200);
        let entries = system.admin("GET", "/audit?action=key_revoked").await.expect(200).json();
        assert_eq!(entries["items"][0]["kid"], json!(leaked.kid), "{entries}");
    });
}

#[test]
fn keys_are_listed_rotated_and_revoked_by_command() {
    e2e::run(async {
        let system = System::start(&Options::new());
        let admin = system.admin_token("propusk").await;
        let run = |arguments: &[&str]| {
            let authority = ["--json", "--authority", &system.ready.authority];
            let output = product().args(arguments).args(authority).env("PROPUSK_TOKEN", &admin).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        let next = kid(&run(&["keys", "rotate", "cars"]));
        let listed = run(&["keys", "list", "cars"]);
        let listed = listed["items"].as_array().unwrap();
        let waiting = listed.iter().find(|key| key["kid"] == json!(next)).expect("in the list");
        assert_eq!(waiting["state"], "staged", "not within keys.settle of a start");
        assert!(waiting["waiting_for"].is_array() && waiting["activates_at"].is_string(), "{waiting}");
        let old = listed.iter().find(|key| key["state"] == "active").map(kid).unwrap();
        assert_eq!(run(&["keys", "revoke", &old])["outcome"], "enforced");
        assert_eq!(active(&system, "cars").await, next);
    });
}

#[test]
fn what_there_is_not_cannot_be_rotated_or_revoked() {
    e2e::run(async {
        let system = &*crate::shared::PLAIN;
        system.admin("POST", "/services/nowhere/keys/rotate").await.expect_problem(404, "not-found");
        system.admin("POST", "/keys/nobody/revoke").await.expect_problem(404, "not-found");
    });
}
