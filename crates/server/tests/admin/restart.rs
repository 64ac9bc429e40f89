//! What an administrator made of the built-in and demo data stays.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, texts};

#[tokio::test]
async fn what_was_changed_or_deleted_is_not_brought_back() {
    let world = World::start().await;
    world.put("/services/cars/roles/buyer/permissions/cars:look").await;
    world.role("propusk/admin", &["propusk:*", "propusk:more"], &[]).await;
    world.delete("/clients/cars").await;
    world.delete("/services/posts").await;
    world.delete("/services/cars/roles/admin").await;
    world.delete("/exchange-rules/posts/users").await;
    world.delete(&format!("/users/{}", world.id("alice"))).await;
    world.delete(&format!("/users/{}/roles/cars/buyer", world.id("bob"))).await;
    world.post("/groups", json!({ "id": "drivers" })).await.expect(201);
    world.put("/groups/drivers/roles/cars/buyer").await;
    let headers = [("idempotency-key", "k")];
    let body = json!({ "id": "clerks" });
    let made = world.call_with(Method::POST, "/groups", Some(body.clone()), &headers).await.expect(201);

    let world = world.restart().await;
    let buyer = world.get("/services/cars/roles/buyer").await;
    assert_eq!(texts(&buyer["permissions"]), ["cars:buy", "cars:look"]);
    let admin = world.get("/services/propusk/roles/admin").await;
    assert_eq!(texts(&admin["permissions"]), ["propusk:*", "propusk:more"]);
    assert_eq!(world.get("/users?username=alice").await["items"], json!([]));
    assert_eq!(world.get(&format!("/users/{}/roles", world.id("bob"))).await["items"], json!([]));
    for path in ["/clients/cars", "/services/posts", "/services/cars/roles/admin"] {
        assert_eq!(world.call(Method::GET, path, None).await.problem(404), "not-found", "{path}");
    }
    assert_eq!(world.get("/groups/drivers").await["roles"], json!([{ "service": "cars", "role": "buyer" }]));
    let again = world.call_with(Method::POST, "/groups", Some(body), &headers).await.expect(201);
    assert_eq!(again, made, "kept answers outlive the process");
}
