//! A verifier that is frozen during a rotation: the new key does not sign until it is back or gone.

use std::time::{Duration, Instant};

use e2e::run;
use e2e::system::{Options, START_LIMIT, System};
use serde_json::Value;

use super::{active, key_in, keys, kid, kid_of, rotate, signs_with, until_active, wait_until_current};

/// Who is not heard of for so long is gone.
const HEARD_OF: Duration = Duration::from_secs(60);
/// The authority finds a dead connection within this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

async fn start() -> System {
    let options = Options::new().split().set("keys.settle", "0s").set("keys.jwks_max_age", "0s");
    let system = System::start(&options);
    wait_until_current(&system).await;
    system
}

/// A rotation to a key that was staged just now, which a frozen verifier has not heard of.
async fn rotate_to_a_fresh_key(system: &System) -> String {
    let known = kid(&key_in(system, "cars", "staged").await.expect("a spare"));
    system.admin("POST", &format!("/keys/{known}/revoke?wait=committed")).await.expect(200);
    let next = rotate(system, "cars").await;
    assert_ne!(next, known);
    next
}

/// The services that a key waits for.
async fn waiting_for(system: &System, next: &str) -> Option<Vec<String>> {
    let keys = keys(system, "cars").await;
    let key = keys.iter().find(|key| key["kid"] == next).expect("in the list");
    let waiting = key["waiting_for"].as_array()?;
    assert!(waiting.iter().all(|it| it["instance"].is_string() && it["acked_seq"].is_u64()), "{key}");
    Some(waiting.iter().filter_map(|it| it["service"].as_str().map(str::to_owned)).collect())
}

/// The services whose verifiers have confirmed it.
async fn confirmed_by(system: &System, next: &str) -> Vec<String> {
    let keys = keys(system, "cars").await;
    let key = keys.iter().find(|key| key["kid"] == next).expect("in the list");
    let confirmed = key["confirmed_by"].as_array().expect("it is staged");
    let mut names: Vec<String> = confirmed.iter().filter_map(|it| it["service"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

/// A service that sees a key for the first time says nothing wrong about its tokens.
async fn is_taken_by_cars(system: &System, token: &str) {
    e2e::eventually_async("cars takes it", START_LIMIT, || async {
        let [ordinary, elite] = [system.ordinary("cars", token).await, system.elite("cars", token).await];
        for answer in [&ordinary, &elite] {
            assert!(matches!(answer.status, 200 | 503), "an honest token\n{answer}");
        }
        (ordinary.status == 200 && elite.status == 200).then_some(())
    })
    .await;
}

#[test]
fn a_new_key_does_not_sign_until_a_frozen_verifier_is_back() {
    run(async {
        let system = start().await;
        let old = active(&system, "cars").await;
        let frozen = system.freeze("cars");
        let next = rotate_to_a_fresh_key(&system).await;
        let begun = Instant::now();
        e2e::eventually_async("only cars is waited for", START_LIMIT, || async {
            (waiting_for(&system, &next).await? == ["cars"]).then_some(())
        })
        .await;
        assert_eq!(confirmed_by(&system, &next).await, ["gateway", "posts", "users"]);
        // For longer than any lease or view lasts.
        while begun.elapsed() < Duration::from_secs(8) {
            assert_eq!(waiting_for(&system, &next).await, Some(vec!["cars".to_owned()]));
            assert_eq!(signs_with(&system, "cars").await, old);
            e2e::time_passes(Duration::from_millis(200)).await;
        }
        frozen.wake();
        until_active(&system, "cars", &next).await;
        let token = system.client_token("demo-m2m", "cars").await;
        assert_eq!(kid_of(&token), next);
        is_taken_by_cars(&system, &token).await;
        let spare = e2e::eventually_async("a spare", START_LIMIT, || key_in(&system, "cars", "staged")).await;
        assert_eq!(spare.get("waiting_for"), None::<&Value>, "nothing is asked of it: {spare}");
    });
}

#[test]
fn a_new_key_signs_when_a_frozen_verifier_is_gone() {
    run(async {
        let system = start().await;
        let old = active(&system, "cars").await;
        let begun = Instant::now();
        let frozen = system.freeze("cars");
        let next = rotate_to_a_fresh_key(&system).await;
        e2e::eventually_async("it is gone", HEARD_OF + KEEP_ALIVE + START_LIMIT, || async {
            if active(&system, "cars").await == next {
                return Some(());
            }
            // Between two looks it may have begun to sign.
            let waiting = waiting_for(&system, &next).await;
            assert!(waiting.is_none_or(|names| names.is_empty() || names.contains(&"cars".to_owned())));
            None
        })
        .await;
        let took = begun.elapsed();
        eprintln!("gone after {took:?}");
        assert!(took >= HEARD_OF - Duration::from_secs(2), "{took:?}");
        let token = system.client_token("demo-m2m", "cars").await;
        assert!(kid_of(&token) == next && next != old);
        // It wakes with a token for which it has no key, and knows that it cannot tell.
        let url = system.service("cars", "/cars/-/whoami");
        let asleep = e2e::spawn(system.http.get(&url).bearer(&token).try_send());
        frozen.wake();
        let answer = asleep.await.unwrap().expect("an answer when it wakes");
        assert!(matches!(answer.status, 200 | 503), "an honest token\n{answer}");
        is_taken_by_cars(&system, &token).await;
    });
}
