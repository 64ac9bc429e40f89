//! The authority is away: elite endpoints end with the lease, ordinary ones go on to the bound of their view and then
//! by policy; nobody is signed out.

use std::time::{Duration, Instant};

use e2e::http::Refusal;
use e2e::people::Tokens;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

use super::{LEASE, MARGIN, MAX_STALENESS, wait_until_live};

#[test]
fn without_the_authority_elite_ends_with_the_lease_and_ordinary_with_the_bound() {
    run(async {
        let system = System::start(&Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("outage").await;
        let tokens = system.login(&person, "cars").await;
        let revoked = system.login(&person, "cars").await;
        let body = serde_json::json!({"refresh_token": revoked.refresh});
        system.http.post(&system.authority("/auth/logout")).json(&body).send().await.expect(204);
        system.elite("cars", &tokens.access).await.expect(200);

        system.kill("authority");
        let away = Instant::now();
        system.ordinary("cars", &tokens.access).await.expect(200);
        e2e::eventually_async("elite ends with the lease", LEASE + MARGIN, || async {
            let answer = system.elite("cars", &tokens.access).await;
            (answer.status != 200).then(|| answer.expect_refusal(Refusal::Unknown))
        })
        .await;
        eprintln!("elite ended after {:?}", away.elapsed());
        // What is known to be revoked is refused, whoever is away.
        system.elite("cars", &revoked.access).await.expect_refusal(Refusal::Revoked);
        system.ordinary("cars", &revoked.access).await.expect_refusal(Refusal::Revoked);
        e2e::eventually_async("ordinary ends with the bound", MAX_STALENESS + MARGIN, || async {
            let answer = system.ordinary("cars", &tokens.access).await;
            (answer.status != 200).then(|| answer.expect_refusal(Refusal::Unknown))
        })
        .await;
        let after = away.elapsed();
        eprintln!("ordinary ended after {after:?}");
        assert!(after > LEASE, "the bound of the view is longer than a lease");
        assert!(after <= MAX_STALENESS + MARGIN, "{after:?}");

        system.restart("authority");
        system.wait_ready("authority").await;
        e2e::eventually_async("all is well again, with the same token", START_LIMIT, || async {
            let elite = system.elite("cars", &tokens.access).await;
            let ordinary = system.ordinary("cars", &tokens.access).await;
            (elite.status == 200 && ordinary.status == 200).then_some(())
        })
        .await;
        Tokens::of(system.refresh(&tokens.refresh, None).await);
    });
}

#[test]
fn past_the_bound_an_ordinary_endpoint_may_go_on_serving_by_policy() {
    run(async {
        let options = Options::new().split().set("verify.past_bound", "serve").set("verify.max_staleness", "2s");
        let system = System::start(&options);
        wait_until_live(&system).await;
        let person = system.register("served").await;
        let tokens = system.login(&person, "cars").await;
        system.kill("authority");
        let away = Instant::now();
        e2e::eventually_async("elite ends with the lease", LEASE + MARGIN, || async {
            (system.elite("cars", &tokens.access).await.status == 503).then_some(())
        })
        .await;
        while away.elapsed() < MAX_STALENESS {
            system.ordinary("cars", &tokens.access).await.expect(200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}
