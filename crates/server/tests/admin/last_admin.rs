//! Whatever is taken, disabled or deleted: somebody has to be left who administers.

use reqwest::Method;
use serde_json::json;

use crate::world::World;

/// Every one of these is refused, and changes nothing.
async fn expect_refused(world: &World, calls: &[(Method, String)]) {
    for (method, path) in calls {
        let body = (*method == Method::PUT).then(|| json!({ "permissions": [], "inherits": [] }));
        let answer = world.call(method.clone(), path, body).await;
        assert_eq!(answer.status, 409, "{method} {path}: {}", answer.body);
        assert_eq!(answer.problem(409), "last-admin", "{method} {path}");
    }
    // `root` still may.
    world.get("/users").await;
}

fn owned<const N: usize>(calls: [(Method, &str); N]) -> [(Method, String); N] {
    calls.map(|(method, path)| (method, path.to_owned()))
}

#[tokio::test]
async fn the_last_one_by_a_role_of_its_own_stays() {
    let world = World::start().await;
    world.delete(&format!("/users/{}/roles/propusk/admin", world.id("admin"))).await;
    let calls = [
        (Method::DELETE, "/clients/bootstrap-admin/roles/propusk/admin"),
        (Method::POST, "/clients/bootstrap-admin/disable"),
        (Method::DELETE, "/clients/bootstrap-admin"),
        (Method::DELETE, "/services/propusk"),
        (Method::DELETE, "/services/propusk/roles/admin"),
        (Method::DELETE, "/services/propusk/roles/admin/permissions/propusk:*"),
        (Method::PUT, "/services/propusk/roles/admin"),
    ];
    expect_refused(&world, &owned(calls)).await;
    // One that can get no tokens administers no more.
    for change in
        [json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] }), json!({ "audiences": [] })]
    {
        let path = "/clients/bootstrap-admin";
        let answer = world.call_with(Method::PATCH, path, Some(change), &[("if-match", "*")]).await;
        assert_eq!(answer.problem(409), "last-admin");
    }
    // Nor is somebody who cannot sign in enough.
    let ann = world.post("/users", json!({ "username": "ann" })).await.expect(201)["id"].as_str().unwrap().to_owned();
    world.put(&format!("/users/{ann}/roles/propusk/admin")).await;
    let leave = (Method::DELETE, "/clients/bootstrap-admin/roles/propusk/admin".to_owned());
    expect_refused(&world, &[leave]).await;
    world.delete(&format!("/users/{ann}")).await;
    // With another one it may go.
    world.put(&format!("/users/{}/roles/propusk/admin", world.id("bob"))).await;
    world.delete("/clients/bootstrap-admin/roles/propusk/admin").await;
    assert_eq!(world.call(Method::GET, "/users", None).await.problem(403), "missing-permission");
}

#[tokio::test]
async fn the_last_one_by_inheritance_stays() {
    let world = World::start().await;
    world.role("propusk/middle", &[], &["admin"]).await;
    world.role("propusk/root", &[], &["middle"]).await;
    world.put("/clients/bootstrap-admin/roles/propusk/root").await;
    world.delete(&format!("/users/{}/roles/propusk/admin", world.id("admin"))).await;
    world.delete("/clients/bootstrap-admin/roles/propusk/admin").await;
    let calls = [
        (Method::DELETE, "/clients/bootstrap-admin/roles/propusk/root"),
        (Method::POST, "/clients/bootstrap-admin/disable"),
        // Any link of the chain.
        (Method::PUT, "/services/propusk/roles/root"),
        (Method::PUT, "/services/propusk/roles/middle"),
        (Method::DELETE, "/services/propusk/roles/root"),
        (Method::DELETE, "/services/propusk/roles/middle"),
        (Method::DELETE, "/services/propusk/roles/admin"),
        (Method::DELETE, "/services/propusk/roles/admin/permissions/propusk:*"),
    ];
    expect_refused(&world, &owned(calls)).await;
}

#[tokio::test]
async fn the_last_one_through_a_group_stays() {
    let world = World::start().await;
    let (admin, bob) = (world.id("admin"), world.id("bob"));
    world.post("/groups", json!({ "id": "owners" })).await.expect(201);
    world.put("/groups/owners/roles/propusk/admin").await;
    world.put(&format!("/groups/owners/members/{bob}")).await;
    world.put(&format!("/groups/owners/members/{admin}")).await;
    world.delete(&format!("/users/{admin}/roles/propusk/admin")).await;
    world.delete(&format!("/groups/owners/members/{admin}")).await;
    // Now `root` and, through the group, bob. `root` leaves.
    let token = world.token("bob", "propusk").await;
    world.delete("/clients/bootstrap-admin/roles/propusk/admin").await;
    for (method, path) in [
        (Method::DELETE, format!("/groups/owners/members/{bob}")),
        (Method::DELETE, "/groups/owners/roles/propusk/admin".to_owned()),
        (Method::DELETE, "/groups/owners".to_owned()),
        (Method::POST, format!("/users/{bob}/disable")),
        (Method::DELETE, format!("/users/{bob}")),
        (Method::DELETE, "/services/propusk/roles/admin".to_owned()),
    ] {
        let answer = world.call_as(&token, method.clone(), &format!("/admin/v1{path}")).await;
        assert_eq!(answer.problem(409), "last-admin", "{method} {path}");
    }
    // A disabled one does not count.
    let put = format!("/admin/v1/users/{admin}/roles/propusk/admin");
    world.call_as(&token, Method::PUT, &put).await.expect(200);
    world.call_as(&token, Method::POST, &format!("/admin/v1/users/{admin}/disable")).await.expect(200);
    let answer = world.call_as(&token, Method::DELETE, "/admin/v1/groups/owners").await;
    assert_eq!(answer.problem(409), "last-admin");
    world.call_as(&token, Method::POST, &format!("/admin/v1/users/{admin}/enable")).await.expect(200);
    world.call_as(&token, Method::DELETE, "/admin/v1/groups/owners").await.expect(200);
}
