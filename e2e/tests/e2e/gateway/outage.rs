//! Parts that are away: nobody is signed out, and each answer says what is missing.

use std::time::{Duration, Instant};

use e2e::browser::Browser;
use e2e::people::PASSWORD;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

#[test]
fn an_authority_that_is_away_signs_nobody_out() {
    run(async {
        let system = System::start(&Options::new().split().set("token.access_ttl", "2s"));
        let person = system.register("patient").await;
        let browser = Browser::sign_in(&system, &person).await;
        browser.get("/cars/-/whoami").await.expect(200);
        let cookie = browser.cookie();
        system.kill("authority");
        // The token in the session is at its end, and there is nobody to ask for the next.
        let answer = e2e::eventually_async("the token ends", Duration::from_secs(10), || async {
            let answer = browser.get("/cars/-/whoami").await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        let answer = answer.expect_problem(503, "authority-unavailable");
        assert_ne!(answer.header("retry-after"), "", "\n{answer}");
        assert_eq!(answer.header("set-cookie"), "", "\n{answer}");
        assert_eq!(browser.cookie(), cookie, "the session is kept");
        let basic = system.http.get(&system.gateway("/cars/-/whoami")).basic("somebody", PASSWORD).send().await;
        basic.expect_problem(503, "authority-unavailable");
        let form = system.http.post(&system.gateway("/login")).header("sec-fetch-site", "same-origin");
        let form = form.form(&[("username", "somebody"), ("password", PASSWORD)]).send().await;
        assert_eq!((form.status, form.header("set-cookie")), (503, ""), "\n{form}");

        system.restart("authority");
        system.wait_ready("authority").await;
        e2e::eventually_async("the session goes on", START_LIMIT, || async {
            let answer = browser.get("/cars/-/whoami").await;
            assert!(matches!(answer.status, 200 | 503), "\n{answer}");
            (answer.status == 200).then_some(())
        })
        .await;
        assert_eq!(system.sessions(&person.id).await.len(), 1);
    });
}

#[test]
fn a_service_that_is_away_or_slow_is_told_apart() {
    run(async {
        let system = System::start(&Options::new().split());
        let person = system.register("upstream").await;
        let browser = Browser::sign_in(&system, &person).await;
        browser.get("/cars/-/whoami").await.expect(200);
        system.kill("cars");
        browser.get("/cars").await.expect_problem(502, "upstream-unavailable");
        browser.get("/users/me").await.expect(200);
        system.restart("cars");
        system.wait_ready("cars").await;
        e2e::eventually_async("the service is back", START_LIMIT, || async {
            (browser.get("/cars/-/whoami").await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn a_gateway_that_was_killed_goes_on_with_the_cookies_it_gave() {
    run(async {
        let system = System::start(&Options::new().split().set("token.access_ttl", "2s"));
        let person = system.register("reboot").await;
        let browser = Browser::sign_in(&system, &person).await;
        browser.get("/cars/-/whoami").await.expect(200);
        for _ in 0..2 {
            system.kill("gateway");
            system.restart("gateway");
            system.wait_ready("gateway").await;
            e2e::time_passes(Duration::from_millis(2_300)).await;
            let begun = Instant::now();
            browser.get("/cars/-/whoami").await.expect(200);
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
        assert_eq!(system.sessions(&person.id).await.len(), 1);
    });
}
