//! Token exchange (RFC 8693): a service turns its caller's token into one for the next service, if there is a rule.

use e2e::forge::claims;
use e2e::http::Refusal;
use e2e::people::{ACCESS_TOKEN_TYPE, EXCHANGE, Tokens};
use e2e::run;
use serde_json::json;

use crate::shared::PLAIN;

#[test]
fn what_comes_out_is_narrower_and_names_who_acts() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("exchanged").await;
        let subject = system.login(&person, "posts").await.access;
        let answer = system.exchange("posts", &subject, "users").await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store", "\n{answer}");
        assert_eq!(answer.field("issued_token_type"), ACCESS_TOKEN_TYPE, "\n{answer}");
        assert_eq!(answer.field("token_type"), "Bearer", "\n{answer}");
        assert!(answer.json().get("refresh_token").is_none(), "\n{answer}");
        let (before, after) = (claims(&subject), claims(&answer.field("access_token")));
        assert_eq!(after["aud"], "users");
        assert_eq!(after["sub"], person.id.as_str());
        assert_eq!(after["sid"], before["sid"]);
        assert_eq!(after["client_id"], "posts");
        assert_eq!(after["act"], json!({"sub": "posts"}));
        assert_ne!(after["jti"], before["jti"]);
        assert!(after["exp"].as_u64() <= before["exp"].as_u64(), "it ends no later than what it was made from");

        let exchanged = answer.field("access_token");
        let seen = system.elite("users", &exchanged).await.expect(200);
        assert_eq!(seen.json()["act"], json!({"sub": "posts"}), "\n{seen}");
        assert_eq!(seen.json()["sub"], person.id.as_str(), "\n{seen}");
        // It is for the next service only, and goes no further.
        system.ordinary("posts", &exchanged).await.expect_refusal(Refusal::Invalid);
        system.exchange("users", &exchanged, "posts").await.expect_oauth_error(400, "invalid_target");
        system.exchange("posts", &exchanged, "users").await.expect_oauth_error(400, "invalid_request");
    });
}

#[test]
fn a_client_s_own_token_is_exchanged_too() {
    run(async {
        let system = &*PLAIN;
        let subject = system.client_token("demo-m2m", "cars").await;
        let exchanged = Tokens::of(system.exchange("cars", &subject, "users").await).access;
        let after = claims(&exchanged);
        assert_eq!(after["sub"], "demo-m2m");
        assert_eq!(after["act"], json!({"sub": "cars"}));
        assert!(after.get("sid").is_none(), "a client has no session");
        system.elite("users", &exchanged).await.expect(200);
    });
}

#[test]
fn nothing_is_exchanged_without_a_rule() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("unruly").await;
        for (actor, audience) in
            [("posts", "cars"), ("cars", "posts"), ("users", "posts"), ("users", "cars"), ("posts", "propusk")]
        {
            let subject = system.login(&person, actor).await.access;
            eprintln!("{actor} → {audience}");
            system.exchange(actor, &subject, audience).await.expect_oauth_error(400, "invalid_target");
        }
        let subject = system.login(&person, "posts").await.access;
        system.exchange("posts", &subject, "no-such-service").await.expect_oauth_error(400, "invalid_target");
        // The grant itself is not for everybody.
        for client in ["demo-m2m", "gateway", "demo-first-party"] {
            let subject = system.login(&person, "users").await.access;
            system.exchange(client, &subject, "users").await.expect_oauth_error(400, "unauthorized_client");
        }
    });
}

#[test]
fn whoever_exchanges_authenticates() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("impostor").await;
        let subject = system.login(&person, "posts").await.access;
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject.as_str()),
            ("subject_token_type", ACCESS_TOKEN_TYPE),
            ("audience", "users"),
        ];
        let url = system.authority("/oauth/token");
        system.http.post(&url).form(&fields).send().await.expect_oauth_error(401, "invalid_client");
        let named = [&fields[..], &[("client_id", "posts")]].concat();
        system.http.post(&url).form(&named).send().await.expect_oauth_error(401, "invalid_client");
        for secret in ["", "wrong", &system.secret("cars")] {
            let request = system.http.post(&url).basic("posts", secret).form(&fields);
            request.send().await.expect_oauth_error(401, "invalid_client");
        }
        // In the body or in the header, not in both.
        let secret = system.secret("posts");
        let in_body = [&fields[..], &[("client_id", "posts"), ("client_secret", &secret)]].concat();
        let request = system.http.post(&url).basic("posts", &secret).form(&in_body);
        request.send().await.expect_oauth_error(400, "invalid_request");
        Tokens::of(system.http.post(&url).form(&in_body).send().await);
    });
}

#[test]
fn a_revoked_or_stale_token_is_not_exchanged() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("late").await;
        let ended = system.login(&person, "posts").await;
        let body = json!({"refresh_token": ended.refresh});
        system.http.post(&system.authority("/auth/logout")).json(&body).send().await.expect(204);
        system.exchange("posts", &ended.access, "users").await.expect_oauth_error(400, "invalid_request");

        let stale = system.login(&person, "posts").await;
        system.role("PUT", &person.id, "cars", "buyer").await;
        system.exchange("posts", &stale.access, "users").await.expect_oauth_error(400, "invalid_request");
        let fresh = Tokens::of(system.refresh(&stale.refresh, Some("posts")).await);
        Tokens::of(system.exchange("posts", &fresh.access, "users").await);

        let revoked = fresh.access;
        system.admin_json("POST", "/tokens/revoke", &json!({"token": revoked})).await.expect_enforced();
        system.exchange("posts", &revoked, "users").await.expect_oauth_error(400, "invalid_request");
    });
}

#[test]
fn an_exchanged_token_ends_with_the_session_but_not_with_its_original() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("derived").await;
        let session = system.login(&person, "posts").await;
        let exchanged = Tokens::of(system.exchange("posts", &session.access, "users").await).access;
        system.admin_json("POST", "/tokens/revoke", &json!({"token": session.access})).await.expect_enforced();
        system.elite("users", &exchanged).await.expect(200);
        let body = json!({"refresh_token": session.refresh});
        system.http.post(&system.authority("/auth/logout")).json(&body).send().await.expect(204);
        system.elite("users", &exchanged).await.expect_refusal(Refusal::Revoked);
    });
}

#[test]
fn only_cars_may_charge_and_only_by_exchange() {
    run(async {
        let system = &*PLAIN;
        let person = system.register_with_role("charged", "cars", "buyer").await;
        let debit = |token: String| {
            let body = json!({"amount": 100, "reference": e2e::unique("debit")});
            system.http.post(&system.service("users", "/users/me/debits")).bearer(&token).json(&body).send()
        };
        let own = system.login(&person, "users").await.access;
        debit(own).await.expect_refusal(Refusal::Forbidden);
        let of_posts = system.login(&person, "posts").await.access;
        let by_posts = Tokens::of(system.exchange("posts", &of_posts, "users").await).access;
        debit(by_posts).await.expect_refusal(Refusal::Forbidden);
        let of_cars = system.login(&person, "cars").await.access;
        debit(of_cars.clone()).await.expect_refusal(Refusal::Invalid);
        let by_cars = Tokens::of(system.exchange("cars", &of_cars, "users").await).access;
        debit(by_cars).await.expect(201);
    });
}
