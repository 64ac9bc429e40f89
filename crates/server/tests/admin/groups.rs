//! Groups, their members and what they bring.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, claims};

#[tokio::test]
async fn a_group_is_made_listed_and_deleted() {
    let world = World::start().await;
    for id in ["drivers", "clerks", "owners"] {
        let made = world.post("/groups", json!({ "id": id })).await.expect(201);
        assert_eq!(made["id"], id);
    }
    assert_eq!(world.post("/groups", json!({ "id": "clerks" })).await.problem(409), "group-exists");
    assert_eq!(world.post("/groups", json!({ "id": "No" })).await.problem(422), "invalid-field");
    assert_eq!(world.post("/groups", json!({ "id": "a", "name": "b" })).await.problem(400), "bad-request");
    let page = world.get("/groups?limit=2").await;
    assert_eq!((&page["items"][0]["id"], &page["items"][1]["id"]), (&json!("clerks"), &json!("drivers")));
    let page = world.get(&format!("/groups?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&json!("owners"), &json!(null)));
    world.put("/groups/drivers/roles/cars/buyer").await;
    world.put(&format!("/groups/drivers/members/{}", world.id("bob"))).await;
    let group = world.get("/groups/drivers").await;
    assert_eq!(group["roles"], json!([{ "service": "cars", "role": "buyer" }]));
    let members = world.get("/groups/drivers/members").await;
    assert_eq!(members["items"], json!([{ "user_id": world.id("bob"), "username": "bob" }]));
    world.delete("/groups/drivers").await;
    for (method, path) in [
        (Method::GET, "/groups/drivers".to_owned()),
        (Method::GET, "/groups/drivers/members".to_owned()),
        (Method::DELETE, "/groups/drivers".to_owned()),
        (Method::PUT, "/groups/drivers/roles/cars/buyer".to_owned()),
        (Method::PUT, format!("/groups/drivers/members/{}", world.id("bob"))),
        (Method::PUT, "/groups/clerks/members/u_none".to_owned()),
        (Method::PUT, "/groups/clerks/roles/cars/none".to_owned()),
    ] {
        assert_eq!(world.call(method, &path, None).await.problem(404), "not-found", "{path}");
    }
}

#[tokio::test]
async fn members_have_the_roles_of_their_groups_and_each_change_reaches_them() {
    let world = World::start().await;
    let member = format!("/groups/drivers/members/{}", world.id("bob"));
    world.post("/groups", json!({ "id": "drivers" })).await.expect(201);
    world.put("/groups/drivers/roles/cars/buyer").await;
    let before = world.token("bob", "cars").await;
    assert_eq!(claims(&before)["roles"], json!([]));

    // In, and what was minted before is stale.
    let joined = world.put(&member).await;
    assert_eq!(world.introspect("cars", &before).await["active"], false);
    let bob = world.token("bob", "cars").await;
    assert_eq!(claims(&bob)["roles"], json!(["buyer"]));
    assert_eq!(world.introspect("cars", &bob).await["roles"], json!(["buyer"]));
    assert_eq!(world.put(&member).await["seq"], joined["seq"], "twice is once");
    let me = world.call_as(&world.token("bob", "propusk").await, Method::GET, "/auth/me").await.expect(200);
    assert_eq!(me["roles"], json!({ "cars": ["buyer"] }));

    // The group gets another role, and loses one.
    world.put("/groups/drivers/roles/cars/admin").await;
    assert_eq!(world.introspect("cars", &bob).await["active"], false);
    let bob = world.token("bob", "cars").await;
    assert_eq!(claims(&bob)["roles"], json!(["admin", "buyer"]));
    world.delete("/groups/drivers/roles/cars/admin").await;
    assert_eq!(world.introspect("cars", &bob).await["active"], false);

    // Out.
    let bob = world.token("bob", "cars").await;
    let alice = world.token("alice", "cars").await;
    world.delete(&member).await;
    assert_eq!(world.introspect("cars", &bob).await["active"], false);
    assert_eq!(world.introspect("cars", &alice).await["active"], true, "nobody else is concerned");
    assert_eq!(claims(&world.token("bob", "cars").await)["roles"], json!([]));

    // And the end of the group.
    world.put(&member).await;
    let bob = world.token("bob", "cars").await;
    world.delete("/groups/drivers").await;
    assert_eq!(world.introspect("cars", &bob).await["active"], false);
    assert_eq!(claims(&world.token("bob", "cars").await)["roles"], json!([]));
}

#[tokio::test]
async fn why_names_every_way() {
    let world = World::start().await;
    let alice = world.id("alice");
    world.role("cars/base", &["cars:*"], &[]).await;
    world.role("cars/middle", &[], &["base"]).await;
    world.role("cars/chief", &["cars:paint"], &["middle"]).await;
    world.post("/groups", json!({ "id": "drivers" })).await.expect(201);
    world.put("/groups/drivers/roles/cars/chief").await;
    let ask = |permission: &str| format!("/users/{alice}/why?permission={permission}");
    let nothing = world.get(&ask("cars:delete")).await;
    assert_eq!((&nothing["granted"], &nothing["paths"]), (&json!(false), &json!([])));
    world.put(&format!("/groups/drivers/members/{alice}")).await;
    let why = world.get(&ask("cars:delete")).await;
    assert_eq!((&why["username"], &why["service"], &why["granted"]), (&json!("alice"), &json!("cars"), &json!(true)));
    assert_eq!(
        why["paths"],
        json!([{
            "text": "alice → group drivers → role cars/chief → role cars/middle → role cars/base → cars:*",
            "steps": [
                { "kind": "user", "id": alice },
                { "kind": "group", "id": "drivers" },
                { "kind": "role", "id": "cars/chief" },
                { "kind": "role", "id": "cars/middle" },
                { "kind": "role", "id": "cars/base" },
                { "kind": "permission", "id": "cars:*" },
            ],
        }])
    );
    // Her own role is another way.
    let buy = world.get(&ask("cars:buy")).await;
    let ways: Vec<_> = buy["paths"].as_array().unwrap().iter().map(|way| way["text"].as_str().unwrap()).collect();
    assert_eq!(ways[0], "alice → role cars/buyer → cars:buy");
    assert_eq!(ways.len(), 2);
    let elsewhere = world.get(&format!("{}&service=posts", ask("cars:buy"))).await;
    assert_eq!(elsewhere["granted"], false);
    for (path, status) in [
        (format!("/users/{alice}/why"), 400),
        (ask("no%20permission"), 400),
        (ask("buy"), 400),
        (ask("none:buy"), 404),
        ("/users/u_none/why?permission=cars:buy".to_owned(), 404),
    ] {
        world.call(Method::GET, &path, None).await.problem(status);
    }
}
