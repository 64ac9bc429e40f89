//! What a role may do travels to the verifiers: it works in tokens that are already out.

use e2e::http::{Answer, Refusal};
use e2e::run;
use e2e::system::System;
use serde_json::json;

use crate::shared::PLAIN;

async fn permit(system: &System, role: &str, permissions: &[&str]) {
    let body = json!({"permissions": permissions});
    system.admin_json("PUT", &format!("/services/cars/roles/{role}"), &body).await.expect_enforced();
}

#[test]
fn a_permission_given_to_a_role_or_taken_from_it_works_in_tokens_already_out() {
    run(async {
        let system = &*PLAIN;
        let role = e2e::unique("dealer");
        permit(system, &role, &[]).await;
        let person = system.register_with_role("dealer", "cars", &role).await;
        let token = system.login(&person, "cars").await.access;
        let create = || {
            let body = json!({"model": "Policy", "price": 1});
            system.http.post(&system.service("cars", "/cars")).bearer(&token).json(&body).send()
        };
        let remove = |answer: &Answer| {
            let url = system.service("cars", &format!("/cars/{}", answer.field("car_id")));
            system.http.request("DELETE", &url).bearer(&token).send()
        };
        for _ in 0..3 {
            create().await.expect_refusal(Refusal::Forbidden);
            permit(system, &role, &["cars:create"]).await;
            let made = create().await.expect(201);
            remove(&made).await.expect_refusal(Refusal::Forbidden);
            permit(system, &role, &["cars:create", "cars:delete"]).await;
            remove(&made).await.expect(204);
            permit(system, &role, &[]).await;
        }
        // The token itself was good all the time.
        let seen = system.elite("cars", &token).await.expect(200);
        assert_eq!(seen.json()["roles"], json!([role]), "\n{seen}");
    });
}

#[test]
fn a_permission_of_one_service_permits_nothing_at_another() {
    run(async {
        let system = &*PLAIN;
        let role = e2e::unique("everything");
        let body = json!({"permissions": ["cars:buy", "cars:create", "cars:delete", "propusk:*"]});
        let answer = system.admin_json("PUT", &format!("/services/posts/roles/{role}"), &body).await;
        if answer.status == 200 {
            let person = system.register_with_role("elsewhere", "posts", &role).await;
            let cars = system.login(&person, "cars").await.access;
            let request = system.http.post(&system.service("cars", "/cars")).bearer(&cars);
            let create = request.json(&json!({"model": "x", "price": 1})).send().await;
            create.expect_refusal(Refusal::Forbidden);
            let own = system.login(&person, "propusk").await.access;
            let list = system.http.get(&system.authority("/admin/v1/users?username=alice")).bearer(&own).send().await;
            list.expect_refusal(Refusal::Forbidden);
        } else {
            assert!(matches!(answer.status, 400 | 422), "\n{answer}");
        }
    });
}
