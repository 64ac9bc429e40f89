//! Roles that inherit, and what they permit.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, claims, texts};

#[tokio::test]
async fn a_role_is_made_read_changed_and_deleted() {
    let world = World::start().await;
    let made = world.role("cars/chief", &["cars:paint", "cars:paint"], &["admin"]).await;
    assert_eq!(made["outcome"], "enforced");
    let chief = world.call(Method::GET, "/services/cars/roles/chief", None).await;
    assert_eq!(chief.header("etag"), format!("\"{}\"", made["seq"]));
    assert_eq!(
        chief.expect(200),
        json!({
            "role": "chief",
            "permissions": ["cars:paint"],
            "inherits": ["admin"],
            "effective_permissions": ["cars:buy", "cars:create", "cars:delete", "cars:paint"],
        })
    );
    // The same again changes nothing.
    let again = world.role("cars/chief", &["cars:paint"], &["admin"]).await;
    assert_eq!(again["seq"], made["seq"]);
    let list = world.get("/services/cars/roles").await;
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap()).collect();
    assert_eq!(names, ["admin", "buyer", "chief"]);
    let page = world.get("/services/cars/roles?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = world.get(&format!("/services/cars/roles?limit=2&cursor={cursor}")).await;
    assert_eq!((&page["items"][0]["role"], &page["next_cursor"]), (&json!("chief"), &json!(null)));
    world.delete("/services/cars/roles/chief").await;
    for (method, path) in [
        (Method::GET, "/services/cars/roles/chief"),
        (Method::DELETE, "/services/cars/roles/chief"),
        (Method::PUT, "/services/cars/roles/chief/permissions/cars:fly"),
        (Method::GET, "/services/none/roles"),
    ] {
        assert_eq!(world.call(method, path, None).await.problem(404), "not-found", "{path}");
    }
    assert_eq!(world.last_audit("chief").await["action"], "role_deleted");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::start().await;
    world.role("cars/chief", &[], &["admin"]).await;
    for (path, body) in [
        // A cycle, through another role and through itself; a role that is not there.
        ("/services/cars/roles/admin", json!({ "permissions": [], "inherits": ["chief"] })),
        ("/services/cars/roles/chief", json!({ "permissions": [], "inherits": ["chief"] })),
        ("/services/cars/roles/chief", json!({ "permissions": [], "inherits": ["none"] })),
    ] {
        let answer = world.call(Method::PUT, path, Some(body)).await;
        assert_eq!(answer.body["errors"][0]["pointer"], "/inherits");
        assert_eq!(answer.problem(422), "invalid-field");
    }
    for body in [
        json!({ "permissions": ["not a permission"] }),
        json!({ "permissions": [], "inherit": [] }),
        json!({ "inherits": [] }),
    ] {
        let answer = world.call(Method::PUT, "/services/cars/roles/chief", Some(body)).await;
        assert_eq!(answer.problem(400), "bad-request");
    }
    let body = json!({ "permissions": [] });
    assert_eq!(world.call(Method::PUT, "/services/none/roles/chief", Some(body)).await.problem(404), "not-found");
    let chief = world.get("/services/cars/roles/chief").await;
    assert_eq!(texts(&chief["inherits"]), ["admin"]);
}

#[tokio::test]
async fn a_permission_works_in_tokens_that_are_out() {
    let world = World::start().await;
    // `root` may give rights to a role of the authority itself, and the guard of the admin API sees them at once.
    world.role("propusk/clerk", &[], &[]).await;
    world.put(&format!("/users/{}/roles/propusk/clerk", world.id("bob"))).await;
    let bob = world.token("bob", "propusk").await;
    assert_eq!(claims(&bob)["roles"], json!(["clerk"]));
    assert_eq!(world.call_as(&bob, Method::GET, "/admin/v1/groups").await.problem(403), "missing-permission");
    world.put("/services/propusk/roles/clerk/permissions/propusk:*").await;
    world.call_as(&bob, Method::GET, "/admin/v1/groups").await.expect(200);
    world.delete("/services/propusk/roles/clerk/permissions/propusk:*").await;
    assert_eq!(world.call_as(&bob, Method::GET, "/admin/v1/groups").await.problem(403), "missing-permission");
    // By inheritance, too: the token names the role that was given, and that one has what it inherits.
    world.role("propusk/clerk", &[], &["admin"]).await;
    world.call_as(&bob, Method::GET, "/admin/v1/groups").await.expect(200);
    world.role("propusk/clerk", &[], &[]).await;
    assert_eq!(world.call_as(&bob, Method::GET, "/admin/v1/groups").await.problem(403), "missing-permission");
}

#[tokio::test]
async fn who_had_a_deleted_role_is_told_and_loses_it() {
    let world = World::start().await;
    world.role("cars/chief", &["cars:paint"], &["buyer"]).await;
    world.call(Method::POST, "/groups", Some(json!({ "id": "drivers" }))).await.expect(201);
    world.put("/groups/drivers/roles/cars/chief").await;
    world.put(&format!("/groups/drivers/members/{}", world.id("bob"))).await;
    world.put("/clients/demo-m2m/roles/cars/chief").await;
    let bob = world.token("bob", "cars").await;
    let machine = world.client_token("demo-m2m", &world.secret("demo-m2m"), "cars").await.unwrap();
    let alice = world.token("alice", "cars").await;
    assert_eq!(claims(&machine)["roles"], json!(["buyer", "chief"]));
    world.delete("/services/cars/roles/chief").await;
    for (token, is_active) in [(&bob, false), (&machine, false), (&alice, true)] {
        assert_eq!(world.introspect("cars", token).await["active"], is_active);
    }
    assert_eq!(claims(&world.token("bob", "cars").await)["roles"], json!([]));
}

#[tokio::test]
async fn two_administrators_edit_one_role() {
    let world = World::start().await;
    let path = "/services/cars/roles/buyer";
    let seen = world.call(Method::GET, path, None).await.header("etag");
    let put = async |permission: &str, if_match: &str| {
        let body = json!({ "permissions": [permission] });
        world.call_with(Method::PUT, path, Some(body), &[("if-match", if_match)]).await
    };
    // Both at once: one is first, the other is told.
    let (first, second) = tokio::join!(put("cars:one", &seen), put("cars:two", &seen));
    let statuses = [first.status.as_u16(), second.status.as_u16()];
    assert!(statuses == [200, 412] || statuses == [412, 200], "{statuses:?}");
    let winner = if first.status == 200 { "cars:one" } else { "cars:two" };
    assert_eq!(texts(&world.get(path).await["permissions"]), [winner]);
    assert_eq!(put("cars:three", &seen).await.problem(412), "changed");
    assert_eq!(put("cars:three", "W/\"1\"").await.problem(412), "changed");
    assert_eq!(put("cars:three", "three").await.problem(400), "bad-request");
    put("cars:three", "*").await.expect(200);
    let seen = world.call(Method::GET, path, None).await.header("etag");
    // Not even a role that was deleted and made anew is the one that was seen.
    world.delete(path).await;
    assert_eq!(put("cars:four", &seen).await.problem(412), "changed");
    assert_eq!(put("cars:four", "*").await.problem(412), "changed");
    world.role("cars/buyer", &["cars:three"], &[]).await;
    assert_eq!(put("cars:four", &seen).await.problem(412), "changed");
    let delete = world.call_with(Method::DELETE, path, None, &[("if-match", &seen)]).await;
    assert_eq!(delete.problem(412), "changed");
}
