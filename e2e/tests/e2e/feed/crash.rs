//! The authority dies in the middle of an enforced revocation and is started again.

use std::time::Instant;

use e2e::http::Refusal;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

use super::{LEASE, MARGIN, freeze_with_lease, made_by, wait_until_live};

#[test]
fn a_revocation_survives_the_death_of_the_authority_and_nothing_is_called_enforced_too_early() {
    run(async {
        let system = System::start(&Options::new().split());
        for round in 0..3 {
            wait_until_live(&system).await;
            let person = system.register("crashed").await;
            let (cars, posts) = (system.login(&person, "cars").await, system.login(&person, "posts").await);
            let bystander = system.login(&system.register("bystander").await, "propusk").await;
            system.elite("cars", &cars.access).await.expect(200);
            let admin = system.admin_token("propusk").await;

            // It cannot be enforced while `cars` is frozen with a lease, so the call is under way when all ends.
            let frozen = freeze_with_lease(&system, "cars").await;
            let url = system.authority(&format!("/admin/v1/users/{}/sessions?wait=enforced", person.id));
            let revoking = e2e::spawn(system.http.request("DELETE", &url).bearer(&admin).try_send());
            e2e::eventually_async("it is committed: posts knows of it", START_LIMIT, || async {
                (system.elite("posts", &posts.access).await.status == 401).then_some(())
            })
            .await;
            system.kill("authority");
            let answer = revoking.await.unwrap();
            assert!(answer.is_err(), "answered although a lease was running:\n{}", answer.unwrap());

            let started = Instant::now();
            system.restart("authority");
            frozen.wake();
            system.wait_ready("authority").await;
            // The new process cannot know who holds a lease: it waits for the longest one before it says `enforced`.
            let url = system.authority("/auth/logout");
            let ready = started.elapsed();
            let answer = system.http.post(&url).bearer(&bystander.access).send().await.expect(204);
            let answered = started.elapsed();
            eprintln!("round {round}: ready after {ready:?}, answered after {answered:?}");
            if answer.header("propusk-enforcement").starts_with("outcome=enforced") {
                assert!(answered >= LEASE, "enforced {answered:?} after the start; a lease is {LEASE:?}");
            }
            assert!(answered <= ready + LEASE + MARGIN, "{answered:?}: it waits for one lease and no longer");

            for service in ["cars", "posts"] {
                let token = if service == "cars" { &cars.access } else { &posts.access };
                e2e::eventually_async("the revocation holds", START_LIMIT, || async {
                    let answer = system.elite(service, token).await;
                    assert!(answer.status == 401 || answer.status == 503, "\n{answer}");
                    (answer.status == 401).then(|| answer.expect_refusal(Refusal::Revoked))
                })
                .await;
            }
            system.refresh(&cars.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        }
    });
}

#[test]
fn verifiers_find_the_new_process_and_decide_by_lease_again() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("reunited").await;
        let tokens = system.login(&person, "cars").await;
        for _ in 0..2 {
            system.kill("authority");
            system.restart("authority");
            system.wait_ready("authority").await;
            wait_until_live(&system).await;
            let answer = system.elite("cars", &tokens.access).await.expect(200);
            assert_eq!(made_by(&answer), "lease", "\n{answer}");
        }
        system.admin("DELETE", &format!("/users/{}/sessions", person.id)).await.expect_enforced();
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
    });
}
