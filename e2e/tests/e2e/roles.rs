//! What roles give, through groups, inheritance and clients, and how soon a change of it is felt: at elite endpoints at
//! once, at ordinary ones within the bound, and never by signing in again.

use std::time::Duration;

use e2e::forge::claims;
use e2e::http::{Answer, Refusal};
use e2e::people::Tokens;
use e2e::run;
use e2e::system::System;
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// How old the view of an ordinary endpoint may be.
const MAX_STALENESS: Duration = Duration::from_secs(5);

async fn put_role(system: &System, role: &str, permissions: &[&str], inherits: &[&str]) -> Answer {
    let body = json!({"permissions": permissions, "inherits": inherits});
    system.admin_json("PUT", &format!("/services/cars/roles/{role}"), &body).await
}

/// An elite call that needs `cars:create`.
async fn create(system: &System, token: &str) -> Answer {
    let car = json!({"model": "Test Car", "price": 1});
    system.http.post(&system.service("cars", "/cars")).bearer(token).json(&car).send().await
}

async fn why(system: &System, user: &str, permission: &str) -> Vec<Value> {
    let answer = system.admin("GET", &format!("/users/{user}/why?permission={permission}")).await.expect(200);
    answer.json()["paths"].as_array().unwrap().iter().map(|path| path["text"].clone()).collect()
}

#[test]
fn a_permission_comes_through_group_and_inheritance_and_goes_with_any_link() {
    run(async {
        let system = &*PLAIN;
        let (maker, chief, group) = (e2e::unique("maker"), e2e::unique("chief"), e2e::unique("group"));
        put_role(system, &maker, &["cars:create"], &[]).await.expect_enforced();
        put_role(system, &chief, &[], &[&maker]).await.expect_enforced();
        let back = put_role(system, &maker, &["cars:create"], &[&chief]).await;
        back.expect_problem(422, "invalid-field");
        system.admin_json("POST", "/groups", &json!({"id": group})).await.expect(201);
        system.admin("PUT", &format!("/groups/{group}/roles/cars/{chief}")).await.expect_enforced();
        let person = system.register("member").await;
        let session = system.login(&person, "cars").await;
        create(system, &session.access).await.expect_refusal(Refusal::Forbidden);

        let member = format!("/groups/{group}/members/{}", person.id);
        system.admin("PUT", &member).await.expect_enforced();
        create(system, &session.access).await.expect_refusal(Refusal::Stale);
        let token = Tokens::of(system.refresh(&session.refresh, Some("cars")).await);
        assert_eq!(claims(&token.access)["roles"], json!([chief]));
        create(system, &token.access).await.expect(201);
        let way = format!("{} → group {group} → role cars/{chief} → role cars/{maker} → cars:create", person.username);
        assert_eq!(why(system, &person.id, "cars:create").await, [json!(way)]);

        // What a role permits changes in tokens that are out, at once and both ways.
        let permission = format!("/services/cars/roles/{maker}/permissions/cars:create");
        system.admin("DELETE", &permission).await.expect_enforced();
        create(system, &token.access).await.expect_refusal(Refusal::Forbidden);
        system.admin("PUT", &permission).await.expect_enforced();
        create(system, &token.access).await.expect(201);
        put_role(system, &chief, &[], &[]).await.expect_enforced();
        create(system, &token.access).await.expect_refusal(Refusal::Forbidden);
        put_role(system, &chief, &[], &[&maker]).await.expect_enforced();
        create(system, &token.access).await.expect(201);

        // Out of the group: stale at elite at once, at ordinary within the bound; the same session goes on.
        system.admin("DELETE", &member).await.expect_enforced();
        create(system, &token.access).await.expect_refusal(Refusal::Stale);
        let ordinary = e2e::eventually_async("ordinary is stale", MAX_STALENESS, || async {
            let answer = system.ordinary("cars", &token.access).await;
            (answer.status != 200).then_some(answer)
        });
        ordinary.await.expect_refusal(Refusal::Stale);
        let token = Tokens::of(system.refresh(&token.refresh, Some("cars")).await);
        assert_eq!((&claims(&token.access)["roles"], token.sid()), (&json!([]), session.sid()));
        system.ordinary("cars", &token.access).await.expect(200);
        create(system, &token.access).await.expect_refusal(Refusal::Forbidden);
        assert_eq!(why(system, &person.id, "cars:create").await, [Value::Null; 0]);
    });
}

#[test]
fn a_client_holds_roles_of_its_own() {
    run(async {
        let system = &*PLAIN;
        let (role, client) = (e2e::unique("machine"), e2e::unique("robot"));
        put_role(system, &role, &["cars:create"], &[]).await.expect_enforced();
        let body = json!({
            "client_id": client, "client_name": "Robot", "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic", "audiences": ["cars"],
        });
        let secret = system.admin_json("POST", "/clients", &body).await.expect(201).field("client_secret");
        let token = async || {
            let form = [("grant_type", "client_credentials"), ("audience", "cars")];
            let request = system.http.post(&system.authority("/oauth/token")).basic(&client, &secret).form(&form);
            Tokens::of(request.send().await).access
        };
        let without = token().await;
        create(system, &without).await.expect_refusal(Refusal::Forbidden);
        let held = format!("/clients/{client}/roles/cars/{role}");
        system.admin("PUT", &held).await.expect_enforced();
        create(system, &without).await.expect_refusal(Refusal::Stale);
        let with = token().await;
        assert_eq!(claims(&with)["roles"], json!([role]));
        create(system, &with).await.expect(201);
        // It holds `cars:create`, and has no account to buy from: that is said, and is not a missing permission.
        system.admin("PUT", &format!("/clients/{client}/roles/cars/buyer")).await.expect_enforced();
        let buy = system.http.post(&system.service("cars", "/cars/1/buy")).bearer(&token().await).send().await;
        buy.expect_problem(403, "people-only");
        system.admin("DELETE", &held).await.expect_enforced();
        create(system, &with).await.expect_refusal(Refusal::Stale);
        create(system, &token().await).await.expect_refusal(Refusal::Forbidden);
    });
}
