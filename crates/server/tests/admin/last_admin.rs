//! Whatever is taken, disabled or deleted: somebody has to be left who administers.

use reqwest::Method;
use serde_json::json;

use crate::world::World;

/// A world in which `holder` alone administers, by the way that `give` makes.
async fn alone(give: &[(Method, String)]) -> World {
    let world = World::start().await;
    for (method, path) in give {
        world.call(method.clone(), path, None).await.expect(200);
    }
    let admin = world.id("admin");
    world.delete(&format!("/users/{admin}/roles/propusk/admin")).await;
    world
}

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

#[tokio::test]
async fn the_last_one_by_a_role_of_its_own_stays() {
    let world = alone(&[]).await;
    let calls = [
        (Method::DELETE, "/clients/bootstrap-admin/roles/propusk/admin"),
        (Method::POST, "/clients/bootstrap-admin/disable"),
        (Method::DELETE, "/services/propusk/roles/admin"),
        (Method::DELETE, "/services/propusk/roles/admin/permissions/propusk:*"),
        (Method::PUT, "/services/propusk/roles/admin"),
    ];
    expect_refused(&world, &calls.map(|(method, path)| (method, path.to_owned()))).await;
    // With another one it may go.
    let bob = world.id("bob");
    world.put(&format!("/users/{bob}/roles/propusk/admin")).await;
    world.delete("/clients/bootstrap-admin/roles/propusk/admin").await;
    assert_eq!(world.call(Method::GET, "/users", None).await.problem(401), "token-stale");
}

/// `root` administers through `propusk/root`, which inherits `propusk/admin`.
#[tokio::test]
async fn the_last_one_by_inheritance_stays() {
    let world = World::start().await;
    world.role("propusk/root", &[], &["middle"]).await_refused().await;
    world.role("propusk/middle", &[], &["admin"]).await;
}

trait Refused {
    async fn await_refused(self);
}
