//! Cookie sessions: one refresh however many wait, and an end that is felt.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::browser::{Browser, cookie_of};
use e2e::http::Refusal;
use e2e::run;
use e2e::system::System;
use futures_util::future::join_all;

use crate::shared::{PLAIN, SHORT_LIVED};

/// Longer than the two seconds of an access token's life.
const PAST_LIFE: Duration = Duration::from_millis(2_300);

/// How often the gateway has asked for tokens.
async fn asked(system: &System) -> f64 {
    let labels = ["route=\"/oauth/token\"", "method=\"POST\""];
    system.metric(&system.authority(""), "propusk_http_requests_total", &labels).await
}

#[test]
fn a_session_serves_every_service() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("session").await;
        let browser = Browser::sign_in(system, &person).await;
        let session = browser.get("/session").await.expect(200);
        assert_eq!(session.field("user_id"), person.id);
        assert_eq!(session.field("username"), person.username);
        assert!(session.field("expires_at").ends_with('Z'), "\n{session}");
        for service in ["users", "posts", "cars", "users"] {
            let seen = browser.get(&format!("/{service}/-/whoami/elite")).await.expect(200);
            assert_eq!((seen.field("sub"), seen.field("aud")), (person.id.clone(), service.to_owned()));
        }
        assert_eq!(system.sessions(&person.id).await.len(), 1, "one sign-in, one session");
        let none = system.http.get(&system.gateway("/session")).send().await;
        none.expect_problem(401, "no-credentials");
    });
}

/// In a process of its own: nobody else may ask for tokens while this counts.
#[test]
fn thirty_requests_with_an_expired_token_are_one_rotation() {
    run(async {
        let system = System::start(&e2e::system::Options::new().set("token.access_ttl", "2s"));
        let person = system.register("thirty").await;
        let browser = Browser::sign_in(&system, &person).await;
        browser.get("/cars/-/whoami/elite").await.expect(200);
        for round in 0..3 {
            e2e::time_passes(PAST_LIFE).await;
            let before = asked(&system).await;
            let requests = (0..30).map(|_| browser.request("GET", "/cars/-/whoami/elite").send());
            let answers = join_all(requests).await;
            let mut cookies = BTreeSet::new();
            for answer in answers {
                let answer = answer.expect(200);
                assert_eq!(answer.field("sub"), person.id);
                cookies.extend(cookie_of(&answer));
            }
            let rotations = asked(&system).await - before;
            assert!((rotations - 1.0).abs() < f64::EPSILON, "round {round}: asked {rotations} times");
            assert!(!cookies.is_empty() && !cookies.contains(""), "the new cookie is with the answers");
            let old = browser.cookie();
            browser.set_cookie(cookies.iter().next().unwrap());
            assert_ne!(old, browser.cookie());
        }
        assert_eq!(system.sessions(&person.id).await.len(), 1);
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
    });
}

#[test]
fn requests_for_several_services_share_the_rotation() {
    run(async {
        let system = &*SHORT_LIVED;
        let person = system.register("mixed").await;
        let browser = Browser::sign_in(system, &person).await;
        for _ in 0..3 {
            e2e::time_passes(PAST_LIFE).await;
            let services = ["users", "posts", "cars"].iter().cycle().take(30);
            let requests = services.map(|service| browser.request("GET", &format!("/{service}/-/whoami/elite")).send());
            for answer in join_all(requests).await {
                let answer = answer.expect(200);
                if let Some(cookie) = cookie_of(&answer) {
                    browser.set_cookie(&cookie);
                }
            }
        }
        assert_eq!(system.sessions(&person.id).await.len(), 1);
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
    });
}

#[test]
fn an_older_cookie_of_the_session_still_serves() {
    run(async {
        let system = &*SHORT_LIVED;
        let person = system.register("tabs").await;
        let browser = Browser::sign_in(system, &person).await;
        let first = browser.cookie();
        e2e::time_passes(PAST_LIFE).await;
        browser.get("/cars/-/whoami").await.expect(200);
        assert_ne!(first, browser.cookie(), "replaced on the answer to the request that caused a refresh");
        // A tab that did not see that answer.
        let tab = Browser::new(system);
        tab.set_cookie(&first);
        tab.get("/cars/-/whoami").await.expect(200);
        e2e::time_passes(PAST_LIFE).await;
        tab.set_cookie(&first);
        tab.get("/cars/-/whoami").await.expect(200);
        browser.get("/cars/-/whoami").await.expect(200);
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
    });
}

#[test]
fn a_logout_ends_the_session_everywhere() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("leaving").await;
        for by_form in [false, true] {
            let browser = Browser::sign_in(system, &person).await;
            browser.get("/cars/-/whoami/elite").await.expect(200);
            let old = browser.cookie();
            let request = browser.request("POST", "/logout").header("sec-fetch-site", "same-origin");
            let answer = if by_form {
                let answer = request.form(&[]).send().await.expect(303);
                assert_eq!(answer.header("location"), "/", "\n{answer}");
                answer
            } else {
                request.send().await.expect(204)
            };
            assert_eq!(cookie_of(&answer).as_deref(), Some(""), "cleared\n{answer}");
            assert!(answer.headers_joined("set-cookie").contains("Max-Age=0"), "\n{answer}");
            // Whoever kept the cookie keeps nothing.
            let thief = Browser::new(system);
            thief.set_cookie(&old);
            for path in ["/cars/-/whoami", "/cars/-/whoami/elite", "/users/me", "/session"] {
                let answer = thief.get(path).await;
                assert_eq!(answer.status, 401, "\n{answer}");
            }
        }
        assert!(system.sessions(&person.id).await.is_empty());
    });
}

#[test]
fn a_session_that_ended_at_the_authority_ends_here_at_once() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("kicked").await;
        let browser = Browser::sign_in(system, &person).await;
        browser.get("/cars/-/whoami/elite").await.expect(200);
        system.admin("DELETE", &format!("/users/{}/sessions", person.id)).await.expect_enforced();
        let answer = browser.get("/cars/-/whoami/elite").await.expect_problem(401, "token-revoked");
        assert_eq!(answer.header("propusk-verdict"), "refused", "\n{answer}");
        let navigate = system.http.get(&system.gateway("/cars")).header("sec-fetch-mode", "navigate");
        let cookie = format!("{}={}", e2e::browser::COOKIE, browser.cookie());
        if !browser.cookie().is_empty() {
            let answer = navigate.header("cookie", &cookie).send().await.expect(303);
            assert!(answer.header("location").starts_with("/login"), "\n{answer}");
        }
    });
}

#[test]
fn a_role_is_felt_in_a_session_without_signing_in_again() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("promoted").await;
        let browser = Browser::sign_in(system, &person).await;
        browser.post("/cars/no-such-car/buy").await.expect_refusal(Refusal::Forbidden);
        system.role("PUT", &person.id, "cars", "buyer").await;
        // The token is stale, the session refreshes it, the client notices nothing.
        let seen = browser.get("/cars/-/whoami/elite").await.expect(200);
        assert_eq!(seen.json()["roles"], serde_json::json!(["buyer"]), "\n{seen}");
        browser.post("/cars/no-such-car/buy").await.expect(404);
        system.role("DELETE", &person.id, "cars", "buyer").await;
        browser.post("/cars/no-such-car/buy").await.expect_refusal(Refusal::Forbidden);
        browser.get("/session").await.expect(200);
    });
}

#[test]
fn a_cookie_that_this_gateway_did_not_seal_is_no_session() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("tampered").await;
        let browser = Browser::sign_in(system, &person).await;
        let good = browser.cookie();
        let foreign = {
            let other = &*SHORT_LIVED;
            let stranger = other.register("stranger").await;
            Browser::sign_in(other, &stranger).await.cookie()
        };
        let mut bytes = e2e::forge::unb64(&good);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let forged = [
            e2e::forge::b64(&bytes),
            good[..good.len() - 4].to_owned(),
            format!("{good}AAAA"),
            foreign,
            "AAAA".to_owned(),
            "%00".to_owned(),
            "a".repeat(8_000),
        ];
        for cookie in forged {
            let request = system.http.get(&system.gateway("/cars/-/whoami"));
            let request = request.header("cookie", &format!("{}={cookie}", e2e::browser::COOKIE));
            let answer = request.send().await;
            assert_eq!(answer.status, 401, "{cookie:.40}\n{answer}");
        }
        browser.get("/cars/-/whoami").await.expect(200);
    });
}
