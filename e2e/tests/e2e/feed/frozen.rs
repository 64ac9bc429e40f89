//! Verifiers that are stopped past their lease, and between a check and its effect.

use std::time::{Duration, Instant};

use e2e::http::Refusal;
use e2e::people::Tokens;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};
use serde_json::{Value, json};

use super::{LEASE, MARGIN, freeze_with_lease, laggard, made_by, wait_until_live};
use crate::shop::{Buyer, buy, car, new_car};

#[test]
fn a_verifier_frozen_past_its_lease_is_named_and_refuses_when_it_wakes() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register_with_role("frozen", "cars", "buyer").await;
        for round in 0..2 {
            // Who held up a revocation gets no lease for a while, so the second round waits for that.
            wait_until_live(&system).await;
            let tokens = system.login(&person, "cars").await;
            system.elite("cars", &tokens.access).await.expect(200);
            let admin = system.admin_token("propusk").await;
            let frozen = freeze_with_lease(&system, "cars").await;
            // Asked while it sleeps: the answer may come only when it wakes.
            let elite = system.service("cars", "/cars/-/whoami/elite");
            let asleep = e2e::spawn(system.http.get(&elite).bearer(&tokens.access).try_send());

            let url = system.authority(&format!("/admin/v1/users/{}/sessions?wait=enforced", person.id));
            let begun = Instant::now();
            let report = system.http.request("DELETE", &url).bearer(&admin).send().await.expect_enforced();
            let took = begun.elapsed();
            eprintln!("round {round}: enforced after {took:?}");
            assert!(took <= LEASE + MARGIN, "{took:?}: longer than a lease");
            let report = report.json();
            let entry = laggard(&report, "cars").unwrap_or_else(|| panic!("cars is not named: {report}"));
            assert_eq!(entry["state"], "lease_ended", "{report}");
            assert_eq!(entry["lease_left_ms"], 0, "{report}");
            assert!(entry["acked_seq"].as_u64() < report["seq"].as_u64(), "{report}");
            assert!(laggard(&report, "posts").is_none(), "posts did not lag: {report}");

            frozen.wake();
            // Whatever it decides from now on, also about what was asked before.
            let answer = asleep.await.unwrap().expect("an answer when it wakes");
            assert!(answer.status == 401 || answer.status == 503, "\n{answer}");
            for _ in 0..20 {
                let answer = system.http.get(&elite).bearer(&tokens.access).send().await;
                assert!(answer.status == 401 || answer.status == 503, "\n{answer}");
            }
            e2e::eventually_async("it knows what it missed", START_LIMIT, || async {
                let answer = system.elite("cars", &tokens.access).await;
                (answer.status == 401).then(|| answer.expect_refusal(Refusal::Revoked))
            })
            .await;
            // Without a lease it asks for each decision, and goes on.
            let again = system.login(&person, "cars").await;
            let answer = system.elite("cars", &again.access).await.expect(200);
            assert_eq!(made_by(&answer), "online", "\n{answer}");
        }
    });
}

#[test]
fn a_wait_that_is_too_short_answers_committed_and_names_who_is_outstanding() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("impatient").await;
        system.login(&person, "posts").await;
        let frozen = freeze_with_lease(&system, "posts").await;
        let admin = system.admin_token("propusk").await;
        let call = |query: &str| {
            let url = system.authority(&format!("/admin/v1/users/{}/sessions?{query}", person.id));
            system.http.request("DELETE", &url).bearer(&admin).send()
        };
        let begun = Instant::now();
        let answer = call("wait=enforced&wait_ms=200").await.expect(202);
        assert!(begun.elapsed() < Duration::from_millis(200) + MARGIN, "{:?}", begun.elapsed());
        let report = answer.json();
        assert_eq!(report["outcome"], "committed", "{report}");
        let entry = laggard(&report, "posts").unwrap_or_else(|| panic!("posts is not named: {report}"));
        assert_eq!(entry["state"], "outstanding", "{report}");
        assert!(entry["lease_left_ms"].as_u64().is_some_and(|left| left > 0), "{report}");
        // Not to wait at all was asked for, and is what was reached.
        let answer = call("wait=committed").await.expect(200);
        assert_eq!(answer.json()["outcome"], "committed", "\n{answer}");
        // To find nothing to change is to wait for what is there.
        let report = call("wait=enforced").await.expect_enforced().json();
        assert!(report["took_ms"].is_u64(), "{report}");
        frozen.wake();
        call("wait=enforced&wait_ms=0").await;
        system
            .http
            .request("DELETE", &system.authority(&format!("/admin/v1/users/{}/sessions?wait=soon", person.id)))
            .bearer(&admin)
            .send()
            .await
            .expect_problem(400, "bad-request");
    });
}

#[test]
fn one_slow_verifier_does_not_hold_up_the_others() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("others").await;
        let (users, cars) = (system.login(&person, "users").await, system.login(&person, "cars").await);
        let admin = system.admin_token("propusk").await;
        let frozen = freeze_with_lease(&system, "cars").await;
        let url = system.authority(&format!("/admin/v1/users/{}/sessions?wait=enforced", person.id));
        let revoking = e2e::spawn(system.http.request("DELETE", &url).bearer(&admin).try_send());
        // Long before the call can answer.
        let begun = Instant::now();
        e2e::eventually_async("users refuses", LEASE / 2, || async {
            (system.elite("users", &users.access).await.status == 401).then_some(())
        })
        .await;
        eprintln!("users refused after {:?}", begun.elapsed());
        // And meanwhile it decides by lease as ever.
        let fresh = system.login(&system.register("fresh").await, "users").await;
        let answer = system.elite("users", &fresh.access).await.expect(200);
        assert_eq!(made_by(&answer), "lease", "\n{answer}");
        revoking.await.unwrap().unwrap().expect_enforced();
        frozen.wake();
        e2e::eventually_async("cars refuses", START_LIMIT, || async {
            (system.elite("cars", &cars.access).await.status == 401).then_some(())
        })
        .await;
    });
}

/// `cars` has let the buyer in, reserved the car and waits for the charge at `users`, which is frozen. Then `cars` is
/// frozen too, the buyer's role is taken away for good, and both wake.
#[test]
fn a_purchase_frozen_between_check_and_effect_does_not_happen() {
    run(async {
        let system = System::start(&Options::new().split());
        for round in 0..2 {
            wait_until_live(&system).await;
            let buyer = Buyer::new(&system, "interrupted").await;
            let id = new_car(&system, 4_000).await;
            let token = buyer.token(&system).await;
            let before = buyer.balance(&system).await;
            system.elite("cars", &token).await.expect(200);
            let admin = system.admin_token("propusk").await;

            let users = freeze_with_lease(&system, "users").await;
            let url = system.service("cars", &format!("/cars/{id}/buy"));
            let buying = e2e::spawn(system.http.post(&url).bearer(&token).try_send());
            // Somebody else finds it taken: so the purchase is past its check.
            let other = Buyer::new(&system, "other").await;
            let theirs = other.token(&system).await;
            e2e::eventually_async("the car is reserved", START_LIMIT, || async {
                let answer = buy(&system, &theirs, &id).await?;
                (answer.status == 409).then_some(())
            })
            .await;
            let cars = freeze_with_lease(&system, "cars").await;
            let url = system.authority(&format!("/admin/v1/users/{}/roles/cars/buyer", buyer.id()));
            let report = system.http.request("DELETE", &url).bearer(&admin).send().await.expect_enforced().json();
            for service in ["cars", "users"] {
                let entry = laggard(&report, service).unwrap_or_else(|| panic!("{service} is not named: {report}"));
                assert_eq!(entry["state"], "lease_ended", "{report}");
            }
            // Either may be the first to go on.
            if round % 2 == 0 {
                users.wake();
                cars.wake();
            } else {
                cars.wake();
                users.wake();
            }
            let answer = buying.await.unwrap().expect("an answer when both are awake");
            assert_ne!(answer.status, 200, "sold after the role was taken away\n{answer}");
            e2e::eventually_async("the sale is void", Duration::from_secs(60), || async {
                let owner = car(&system, &id).await["owner_id"].clone();
                assert_ne!(owner, json!(buyer.id()), "sold after the role was taken away");
                let sold = buy(&system, &other.token(&system).await, &id).await?;
                (sold.status == 200).then_some(())
            })
            .await;
            assert_eq!(buyer.balance(&system).await, before, "money was taken for nothing");
            assert_eq!(car(&system, &id).await["owner_id"], json!(other.id()));
        }
    });
}

#[test]
fn a_frozen_gateway_refuses_when_it_wakes() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("edge").await;
        let token = system.login(&person, "cars").await.access;
        let url = system.gateway("/cars/-/whoami/elite");
        system.http.get(&url).bearer(&token).send().await.expect(200);
        let frozen = freeze_with_lease(&system, "gateway").await;
        let report = system.admin("DELETE", &format!("/users/{}/sessions", person.id)).await.expect_enforced();
        let report: Value = report.json();
        eprintln!("{report}");
        frozen.wake();
        for _ in 0..20 {
            let answer = system.http.get(&url).bearer(&token).send().await;
            assert!(answer.status == 401 || answer.status == 503, "\n{answer}");
        }
        let again = Tokens::of(system.try_login(&person.username, &person.password, Some("cars")).await);
        e2e::eventually_async("it decides again", START_LIMIT, || async {
            let answer = system.http.get(&url).bearer(&again.access).send().await;
            (answer.status == 200).then_some(())
        })
        .await;
    });
}
