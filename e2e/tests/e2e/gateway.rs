//! The gateway: Basic and cookie sessions outside, bearer tokens inside; what it refuses, takes off and survives.

mod framing;
mod login;
mod outage;
mod session;

use e2e::http::Refusal;
use e2e::people::PASSWORD;
use e2e::run;
use e2e::stand_in::StandIn;
use e2e::system::{Options, System};
use serde_json::json;

use crate::shared::PLAIN;

#[test]
fn an_api_client_with_basic_gets_a_token_for_each_service() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("basic").await;
        for service in ["users", "posts", "cars"] {
            let url = system.gateway(&format!("/{service}/-/whoami/elite"));
            let seen = system.http.get(&url).basic(&person.username, PASSWORD).send().await.expect(200);
            assert_eq!(seen.field("sub"), person.id, "\n{seen}");
            assert_eq!(seen.field("aud"), service, "\n{seen}");
            assert_eq!(seen.field("client_id"), "gateway", "\n{seen}");
            assert_eq!(seen.header("set-cookie"), "", "no cookie for whoever came without one\n{seen}");
        }
        // However often it is shown, the pair is one session and costs one check of the password.
        let url = system.gateway("/cars/-/whoami");
        let requests = (0..20).map(|_| system.http.get(&url).basic(&person.username, PASSWORD).send());
        for answer in futures_util::future::join_all(requests).await {
            answer.expect(200);
        }
        assert_eq!(system.sessions(&person.id).await.len(), 1);
    });
}

#[test]
fn a_wrong_pair_is_refused_and_not_remembered() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("mistyped").await;
        let url = system.gateway("/cars/-/whoami");
        for (username, password) in [
            (person.username.as_str(), "a wrong password of sufficient length"),
            ("nobody-of-this-name", PASSWORD),
            (person.username.as_str(), ""),
        ] {
            let answer = system.http.get(&url).basic(username, password).send().await;
            let answer = answer.expect_problem(401, "invalid-credentials");
            assert!(answer.headers_joined("www-authenticate").contains("Basic realm="), "\n{answer}");
        }
        system.http.get(&url).basic(&person.username, PASSWORD).send().await.expect(200);
        for malformed in ["Basic", "Basic !", "Basic YQ==", "Basic  YTpi x"] {
            let answer = system.http.get(&url).header("authorization", malformed).send().await;
            answer.expect_problem(400, "bad-request");
        }
        // Another scheme is no credential of ours.
        let answer = system.http.get(&url).header("authorization", "Digest a").send().await;
        answer.expect_refusal(Refusal::None);
    });
}

#[test]
fn an_old_password_stops_working_at_the_gateway_too() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("changed").await;
        let url = system.gateway("/cars/-/whoami/elite");
        system.http.get(&url).basic(&person.username, PASSWORD).send().await.expect(200);
        let body = json!({"password": "nine amber kettles 8820"});
        system.admin_json("PUT", &format!("/users/{}/password", person.id), &body).await.expect_enforced();
        let answer = system.http.get(&url).basic(&person.username, PASSWORD).send().await;
        answer.expect_problem(401, "invalid-credentials");
        system.http.get(&url).basic(&person.username, "nine amber kettles 8820").send().await.expect(200);
    });
}

#[test]
fn a_request_has_one_credential() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("several").await;
        let browser = e2e::browser::Browser::sign_in(system, &person).await;
        let token = system.login(&person, "cars").await.access;
        let bearer = format!("Bearer {token}");
        let two = [
            browser.request("GET", "/cars/-/whoami").bearer(&token),
            browser.request("GET", "/cars/-/whoami").basic(&person.username, PASSWORD),
            system.http.get(&system.gateway("/cars/-/whoami")).bearer(&token).basic(&person.username, PASSWORD),
            system.http.get(&system.gateway("/cars/-/whoami")).bearer(&token).header("authorization", &bearer),
            browser.request("GET", "/cars/-/whoami").header("cookie", "__Host-Http-propusk=another"),
        ];
        for request in two {
            request.send().await.expect_problem(400, "bad-request");
        }
        browser.get("/cars/-/whoami").await.expect(200);
        let missing = system.http.get(&system.gateway("/cars/-/whoami")).send().await;
        let missing = missing.expect_refusal(Refusal::None);
        assert!(missing.headers_joined("www-authenticate").contains("Basic realm="), "\n{missing}");
    });
}

#[test]
fn a_bearer_token_is_for_the_audience_of_the_route() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("bearer").await;
        for service in ["users", "posts", "cars"] {
            for audience in ["users", "posts", "cars", "propusk"] {
                let token = system.login(&person, audience).await.access;
                let url = system.gateway(&format!("/{service}/-/whoami"));
                let answer = system.http.get(&url).bearer(&token).send().await;
                if service == audience {
                    assert_eq!(answer.expect(200).field("sub"), person.id);
                } else {
                    answer.expect_refusal(Refusal::Invalid);
                }
            }
        }
    });
}

/// What nobody outside may say about who is calling, in the spellings that some server reads as the same.
const FORGED: &[&str] = &[
    "propusk-verdict",
    "Propusk-Sub",
    "remote-user",
    "REMOTE_USER",
    "x-remote-user",
    "X_Remote_Groups",
    "x-auth-request-email",
    "x-authenticated-userid",
    "x-user",
    "X-User-Id",
    "x_username",
    "x-forwarded-user",
    "x-forwarded-email",
    "X_Forwarded_Groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-jwt-assertion",
    "x-id-token",
    "x-access-token",
];

#[test]
fn forged_identity_is_taken_off_before_a_service_sees_it() {
    run(async {
        let system = System::start(&Options::new().split());
        let person = system.register("forger").await;
        let browser = e2e::browser::Browser::sign_in(&system, &person).await;
        browser.get("/users/-/whoami").await.expect(200);
        let token = system.login(&person, "users").await.access;
        // The test takes the place of the service, to see what it is told.
        system.kill("users");
        let service = StandIn::start_on(&e2e::raw::address_of(&system.ready.services["users"])).await;
        service.page("/users/seen", "text/plain", "seen");
        let with_cookie = browser.request("GET", "/users/seen").header("cookie", "theme=dark");
        let with_token = system.http.get(&system.gateway("/users/seen")).bearer(&token);
        let with_basic = system.http.get(&system.gateway("/users/seen")).basic(&person.username, PASSWORD);
        for mut request in [with_cookie, with_token, with_basic] {
            for name in FORGED {
                request = request.header(name, "forged-by-the-client");
            }
            request = request
                .header("x-forwarded-for", "203.0.113.66")
                .header("x-forwarded-host", "evil.example")
                .header("x-real-ip", "203.0.113.66")
                .header("forwarded", "for=203.0.113.66")
                .header("x-harmless", "stays");
            let id = request.id.clone();
            // The connection that the gateway kept to the service that is gone may be tried first.
            let answer = request.send().await.expect(200);
            assert_eq!(answer.text(), "seen");
            let heads = service.heads();
            let head = heads.last().expect("a request").to_lowercase();
            assert!(!head.contains("forged-by-the-client"), "{head}");
            assert!(!head.contains("203.0.113.66") && !head.contains("evil.example"), "{head}");
            assert!(!head.contains("__host-http-propusk"), "{head}");
            assert!(head.contains("x-harmless: stays"), "{head}");
            assert!(head.contains(&format!("x-request-id: {}", id.to_lowercase())), "{head}");
            assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
            assert_eq!(head.matches("\r\nauthorization: bearer ").count(), 1, "{head}");
            assert!(!head.contains("authorization: basic"), "{head}");
        }
        let cookie_head = service.heads().into_iter().find(|head| head.contains("theme=dark"));
        assert!(cookie_head.is_some(), "other cookies stay");
    });
}

#[test]
fn a_person_registers_through_the_gateway() {
    run(async {
        let system = &*PLAIN;
        let username = e2e::unique("outside");
        let body = json!({"username": username, "password": PASSWORD});
        let register = || system.http.post(&system.gateway("/auth/register")).json(&body).send();
        let answer = register().await.expect(201);
        assert!(answer.field("id").starts_with("u_"), "\n{answer}");
        register().await.expect_problem(409, "username-taken");
        system.http.get(&system.gateway("/users/me")).basic(&username, PASSWORD).send().await.expect(200);
    });
}
