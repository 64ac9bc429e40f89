//! Every kind of token offered to every validator, and every forgery that the standards warn of. What is refused is
//! refused with the right answer, and its reason is in the log under the request's id.

mod forged;

use e2e::forge::{Key, claims, header, unsigned};
use e2e::http::{Answer, Refusal, Request};
use e2e::people::{ACCESS_TOKEN_TYPE, EXCHANGE};
use e2e::run;
use e2e::system::System;
use serde_json::{Value, json};

use crate::shared::PLAIN;

const AUDIENCES: [&str; 4] = ["propusk", "users", "posts", "cars"];
const SERVICES: [&str; 3] = ["users", "posts", "cars"];

/// A place that decides on a bearer token.
struct Validator {
    name: String,
    url: String,
    audience: &'static str,
    /// What a good token of somebody without any role gets.
    good: u16,
}

/// All of them: the authority's own two classes, each service directly, each service through the gateway.
fn validators(system: &System) -> Vec<Validator> {
    let mut all = vec![
        Validator { name: "me".into(), url: system.authority("/auth/me"), audience: "propusk", good: 200 },
        Validator {
            name: "admin".into(),
            url: system.authority("/admin/v1/users?username=alice"),
            audience: "propusk",
            good: 403,
        },
    ];
    for audience in SERVICES {
        for (class, path) in [("ordinary", "-/whoami"), ("elite", "-/whoami/elite")] {
            let path = format!("/{audience}/{path}");
            let direct = Validator {
                name: format!("{audience} {class}"),
                url: system.service(audience, &path),
                audience,
                good: 200,
            };
            let name = format!("{audience} {class} by the gateway");
            all.push(Validator { name, url: system.gateway(&path), audience, good: 200 });
            all.push(direct);
        }
    }
    all
}

impl Validator {
    fn request(&self, system: &System) -> Request {
        system.http.get(&self.url)
    }

    async fn offer(&self, system: &System, token: &str) -> Answer {
        self.request(system).bearer(token).send().await
    }

    /// Refused as no token for this place, for one of these reasons, which the log names under the request's id.
    async fn must_refuse(&self, system: &System, what: &str, token: &str, reasons: &[&str]) {
        let answer = self.offer(system, token).await;
        eprintln!("{}: {what}: {}", self.name, answer.status);
        let answer = answer.expect_refusal(Refusal::Invalid);
        assert_silent(&answer, token);
        let line = system.log.line_with(&[&answer.id, "reason"]);
        assert!(reasons.iter().any(|reason| line.contains(reason)), "{what}: none of {reasons:?} in {line}");
    }
}

/// An answer to an attacker does not repeat the token, and does not say which check it failed.
fn assert_silent(answer: &Answer, token: &str) {
    let shown = answer.to_string();
    assert!(token.len() < 16 || !shown.contains(token), "the token is in the answer\n{shown}");
    for told in ["signature.", "kid.unknown", "alg.not-allowed", "aud.wrong"] {
        assert!(!shown.contains(told), "the reason {told} is in the answer\n{shown}");
    }
}

async fn jwks(system: &System, audience: &str) -> Value {
    system.http.get(&system.authority(&format!("/keys/{audience}/jwks.json"))).send().await.expect(200).json()
}

#[test]
fn a_token_opens_its_own_audience_and_no_other() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("matrix").await;
        for audience in AUDIENCES {
            let token = system.login(&person, audience).await.access;
            assert_eq!(claims(&token)["aud"], audience);
            assert_eq!(header(&token)["typ"], "at+jwt");
            for validator in validators(system) {
                if validator.audience == audience {
                    validator.offer(system, &token).await.expect(validator.good);
                } else {
                    let what = format!("a token for {audience}");
                    validator.must_refuse(system, &what, &token, &["aud.", "kid.", "alg."]).await;
                }
            }
        }
    });
}

#[test]
fn a_client_s_token_is_no_person_s() {
    run(async {
        let system = &*PLAIN;
        for audience in SERVICES {
            let token = system.client_token("demo-m2m", audience).await;
            assert!(claims(&token).get("sid").is_none(), "a client has no session");
            assert_eq!(claims(&token)["sub"], "demo-m2m");
            for validator in validators(system) {
                if validator.audience == audience {
                    validator.offer(system, &token).await.expect(200);
                } else {
                    validator.must_refuse(system, "a client's token", &token, &["aud.", "kid.", "alg."]).await;
                }
            }
        }
    });
}

#[test]
fn what_is_not_an_access_token_is_no_bearer_token() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("kinds").await;
        let tokens = system.login(&person, "cars").await;
        let cookie = e2e::browser::Browser::sign_in(system, &person).await.cookie();
        let others = [
            ("a refresh token", tokens.refresh.clone()),
            ("a client secret", system.secret("gateway")),
            ("the gateway's cookie", cookie),
            ("a session id", tokens.sid()),
            ("a user id", person.id.clone()),
            ("an id of a token", claims(&tokens.access)["jti"].as_str().unwrap().to_owned()),
            ("one part", "abc".to_owned()),
            ("dots", "..".to_owned()),
            ("more dots", "....".to_owned()),
        ];
        for validator in validators(system) {
            for (what, token) in &others {
                validator.must_refuse(system, what, token, &["form.", "header."]).await;
            }
        }
    });
}

#[test]
fn an_access_token_is_no_refresh_token_and_no_secret() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("crossed").await;
        let tokens = system.login(&person, "propusk").await;
        let secret = system.secret("demo-first-party");
        for wrong in [&tokens.access, &secret, &person.id, &tokens.sid(), &String::new(), &"x".repeat(20_000)] {
            system.refresh(wrong, None).await.expect_problem(401, "invalid-refresh-token");
            let fields = [("grant_type", "refresh_token"), ("refresh_token", wrong.as_str())];
            let answer = system.token("demo-first-party", &fields).await;
            if wrong.is_empty() {
                answer.expect_oauth_error(400, "invalid_request");
            } else {
                answer.expect_oauth_error(400, "invalid_grant");
            }
        }
        // A client that shows a token of its own instead of its secret.
        for wrong in [&tokens.access, &tokens.refresh, &system.client_token("demo-m2m", "cars").await] {
            let fields = [("grant_type", "client_credentials"), ("audience", "cars")];
            let request = system.http.post(&system.authority("/oauth/token")).basic("demo-m2m", wrong).form(&fields);
            let answer = request.send().await.expect_oauth_error(401, "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Basic"), "\n{answer}");
        }
        // None of that was held against the real ones.
        system.refresh(&tokens.refresh, None).await.expect(200);
    });
}

#[test]
fn only_an_access_token_for_the_actor_can_be_exchanged() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("subject").await;
        let tokens = system.login(&person, "posts").await;
        let forged = Key::ed25519().sign(&header(&tokens.access), &claims(&tokens.access));
        for (what, token) in [
            ("a refresh token", tokens.refresh.clone()),
            ("a forged token", forged),
            ("a token for somebody else", system.login(&person, "cars").await.access),
            ("a token for the target", system.login(&person, "users").await.access),
            ("nothing", String::new()),
        ] {
            eprintln!("{what}");
            system.exchange("posts", &token, "users").await.expect_oauth_error(400, "invalid_request");
        }
        for kind in ["urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:id_token", ""]
        {
            let fields = [
                ("grant_type", EXCHANGE),
                ("subject_token", tokens.access.as_str()),
                ("subject_token_type", kind),
                ("audience", "users"),
            ];
            system.token("posts", &fields).await.expect_oauth_error(400, "invalid_request");
        }
        let fields = [("grant_type", EXCHANGE), ("subject_token", &tokens.access), ("audience", "users")];
        system.token("posts", &fields).await.expect_oauth_error(400, "invalid_request");
        let both = [
            ("grant_type", EXCHANGE),
            ("subject_token", tokens.access.as_str()),
            ("subject_token_type", ACCESS_TOKEN_TYPE),
            ("audience", "users"),
        ];
        system.token("posts", &both).await.expect(200);
    });
}

#[test]
fn credentials_that_cannot_be_read_are_a_bad_request() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("malformed").await;
        for validator in validators(system) {
            let token = system.login(&person, validator.audience).await.access;
            let bearer = format!("Bearer {token}");
            validator.request(system).send().await.expect_refusal(Refusal::None);
            let twice = validator.request(system).header("authorization", &bearer).header("authorization", &bearer);
            twice.send().await.expect_refusal(Refusal::BadRequest);
            for malformed in ["Bearer", "Bearer ", &format!("Bearer  {token} x"), &format!("Bearer{token}")] {
                let answer = validator.request(system).header("authorization", malformed).send().await;
                eprintln!("{}: {malformed:.12}: {}", validator.name, answer.status);
                let refusal = if answer.status == 400 { Refusal::BadRequest } else { Refusal::None };
                answer.expect_refusal(refusal);
            }
            // The scheme's name is case-insensitive; a token in the address is not read at all.
            let lower = validator.request(system).header("authorization", &format!("bearer {token}"));
            lower.send().await.expect(validator.good);
            let join = if validator.url.contains('?') { '&' } else { '?' };
            let in_query = system.http.get(&format!("{}{join}access_token={token}", validator.url));
            let answer = in_query.send().await;
            if answer.status != 400 {
                answer.expect_refusal(Refusal::None);
            }
        }
    });
}

#[test]
fn introspection_tells_nothing_of_what_is_not_a_live_token() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("asked").await;
        let tokens = system.login(&person, "cars").await;
        let seen = system.introspect("cars", &tokens.access).await;
        assert_eq!(seen["active"], true);
        assert_eq!(seen["sub"], person.id.as_str());
        assert_eq!(seen["aud"], "cars");
        assert_eq!(seen["username"], person.username.as_str());
        let inactive = json!({"active": false});
        // Not its audience and not its own.
        assert_eq!(system.introspect("posts", &tokens.access).await, inactive);
        assert_eq!(system.introspect("demo-m2m", &tokens.access).await, inactive);
        let forged = Key::ed25519().sign(&header(&tokens.access), &claims(&tokens.access));
        let none = format!("{}.", unsigned(&json!({"alg": "none", "typ": "at+jwt"}), &claims(&tokens.access)));
        for token in [&forged, &none, &tokens.refresh, &"x".to_owned(), &system.secret("cars"), &"a".repeat(50_000)] {
            assert_eq!(system.introspect("cars", token).await, inactive);
        }
        let anonymous = system.http.post(&system.authority("/oauth/introspect")).form(&[("token", &tokens.access)]);
        anonymous.send().await.expect_oauth_error(401, "invalid_client");
        let bearer = system.http.post(&system.authority("/oauth/introspect")).bearer(&tokens.access);
        let answer = bearer.form(&[("token", &tokens.access)]).send().await;
        assert!(answer.status == 401 || answer.status == 400, "\n{answer}");
    });
}

#[test]
fn a_foreign_library_accepts_our_tokens_by_the_key_set_alone() {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    run(async {
        let system = &*PLAIN;
        let person = system.register("foreign").await;
        for (audience, algorithm) in [("users", Algorithm::EdDSA), ("posts", Algorithm::RS256)] {
            let token = system.login(&person, audience).await.access;
            let set: JwkSet = serde_json::from_value(jwks(system, audience).await).expect("a JWK Set");
            let kid = header(&token)["kid"].as_str().unwrap().to_owned();
            let key = DecodingKey::from_jwk(set.find(&kid).expect("the key")).unwrap();
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&[audience]);
            validation.set_issuer(&[&system.ready.issuer]);
            let decoded = decode::<Value>(&token, &key, &validation).expect("accepted");
            assert_eq!(decoded.claims["sub"], person.id.as_str());
            let mut other = Validation::new(algorithm);
            other.set_audience(&["cars"]);
            other.set_issuer(&[&system.ready.issuer]);
            assert!(decode::<Value>(&token, &key, &other).is_err());
        }
    });
}

#[test]
fn no_token_and_no_secret_is_in_the_log() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("quiet").await;
        let tokens = system.login(&person, "cars").await;
        let again = system.refresh(&tokens.refresh, Some("cars")).await.expect(200);
        system.try_login(&person.username, "a wrong password of sufficient length", None).await;
        let forged = Key::ed25519().sign(&header(&tokens.access), &claims(&tokens.access));
        let last = system.http.get(&system.service("cars", "/cars/-/whoami")).bearer(&forged).send().await;
        system.log.line_with(&[&last.id, "reason"]);
        let log = system.log.text();
        let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
        for (what, secret) in [
            ("a password", person.password.clone()),
            ("a wrong password", "a wrong password of sufficient length".to_owned()),
            ("the administrator's password", system.ready.admin.password.clone().unwrap()),
            ("an access token", signature(&tokens.access)),
            ("a forged token", signature(&forged)),
            ("a refresh token", tokens.refresh.clone()),
            ("its successor", again.field("refresh_token")),
            ("a client secret", system.secret("cars")),
            ("the gateway's secret", system.secret("gateway")),
        ] {
            assert!(!log.contains(&secret), "{what} is in the log");
        }
    });
}
