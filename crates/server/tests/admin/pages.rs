//! Lists: pages, what may be asked for, and what comes while others write.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

/// Every list of the document that an administrator may read, with things in it to be asked about.
async fn lists(world: &World) -> Vec<String> {
    let document = world.get("/openapi.json").await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item["get"]["parameters"].as_array() else { continue };
        if path.starts_with("/admin/v1/") && parameters.iter().any(|it| it["name"] == "cursor") {
            let holder = if path.contains("/users/") { world.id("alice") } else { "cars".to_owned() };
            let path = path.trim_start_matches("/admin/v1").replace("{id}", &holder).replace("{service}", "cars");
            let needed = parameters.iter().any(|it| it["name"] == "user_id");
            found.push(if needed { format!("{path}?user_id={}&", world.id("alice")) } else { format!("{path}?") });
        }
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

#[tokio::test]
async fn a_list_takes_what_it_documents_and_nothing_else() {
    let world = World::start().await;
    world.post("/groups", json!({ "id": "cars" })).await.expect(201);
    for list in lists(&world).await {
        let whole = world.get(&format!("{list}limit=200")).await;
        assert!(whole["items"].is_array() && whole["next_cursor"].is_null(), "{list}: {whole}");
        for (query, named) in [
            ("limit=201", "limit"),
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=many", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=", "cursor"),
            ("cursor=u_1", "cursor"),
            ("cursor=AAAA", "cursor"),
            ("offset=3", "offset"),
            ("Limit=3", "Limit"),
        ] {
            let answer = world.call(Method::GET, &format!("{list}{query}"), None).await;
            assert!(answer.body["detail"].as_str().unwrap().contains(named), "{list}{query}: {answer:?}");
            assert_eq!(answer.problem(400), "bad-request", "{list}{query}");
        }
    }
}

#[tokio::test]
async fn a_cursor_is_of_its_list_and_of_nobody_s_making() {
    let world = World::start().await;
    world.post("/groups", json!({ "id": "a" })).await.expect(201);
    world.post("/groups", json!({ "id": "b" })).await.expect(201);
    let cursor = world.get("/groups?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("/groups?cursor={cursor}")).await["items"][0]["id"], "b");
    let mut changed = cursor.clone().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for path in [
        format!("/groups?cursor={changed}"),
        format!("/groups?cursor={}", &cursor[1..]),
        format!("/services?cursor={cursor}"),
        format!("/groups/a/members?cursor={cursor}"),
    ] {
        assert_eq!(world.call(Method::GET, &path, None).await.problem(400), "bad-request", "{path}");
    }
    // It outlives what it points at.
    world.delete("/groups/a").await;
    assert_eq!(world.get(&format!("/groups?cursor={cursor}")).await["items"][0]["id"], "b");
}

/// Numbers that look random and are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Whatever is there from the first page to the last comes exactly once, whatever others put in and take out meanwhile.
#[tokio::test]
async fn who_reads_while_others_write_misses_nothing_and_sees_nothing_twice() {
    let world = World::start().await;
    for seed in 1..=12 {
        let mut draw = Draw(seed);
        let (mut lasting, mut passing) = (BTreeSet::new(), BTreeSet::new());
        for n in 0..12 {
            let id = format!("g{seed}-{:02}-{n}", draw.below(100));
            world.post("/groups", json!({ "id": id })).await.expect(201);
            if n % 3 == 0 {
                passing.insert(id)
            } else {
                lasting.insert(id)
            };
        }
        let limit = 1 + draw.below(4);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/groups?limit={limit}{cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|group| group["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            if let Some(gone) = passing.pop_first() {
                world.delete(&format!("/groups/{gone}")).await;
                let id = format!("g{seed}-{:02}-new{}", draw.below(100), passing.len());
                world.post("/groups", json!({ "id": id })).await.expect(201);
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "seed {seed}: {seen:?}");
        let missed: Vec<_> = lasting.iter().filter(|id| !seen.contains(id)).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?} of {seen:?}");
    }
}

#[tokio::test]
async fn the_audit_log_is_read_back_page_by_page_while_it_grows() {
    let world = World::start().await;
    let n_of = |entry: &Value| entry["n"].as_u64().unwrap();
    let newest = n_of(&world.get("/audit?limit=1").await["items"][0]);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/audit?limit=7{cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(n_of));
        world.post("/groups", json!({ "id": format!("g{}", seen.len()) })).await.expect(201);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, (1..=newest).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_find_what_they_name() {
    let world = World::start().await;
    let (alice, bob) = (world.id("alice"), world.id("bob"));
    let ids = |list: &Value| list["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&world.get("/users?username=Alice").await), [json!(alice)]);
    assert_eq!(ids(&world.get("/users?username=nobody").await), [json!(null); 0]);
    world.token("alice", "cars").await;
    world.token("bob", "cars").await;
    let sessions = world.get(&format!("/sessions?user_id={bob}")).await;
    assert!(sessions["items"].as_array().unwrap().iter().all(|it| it["user_id"] == json!(bob)), "{sessions}");
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    world.delete(&format!("/users/{alice}/roles/cars/buyer")).await;
    let entries =
        world.get(&format!("/audit?subject={alice}&service=cars&action=role_taken&actor=bootstrap-admin")).await;
    assert_eq!(entries["items"].as_array().unwrap().len(), 1, "{entries}");
    for none in ["subject=u_none", "actor=nobody", "service=posts", "action=role_given"] {
        let query = format!("/audit?subject={alice}&service=cars&action=role_taken&actor=bootstrap-admin");
        let name = none.split('=').next().unwrap();
        let query: Vec<_> = query.split(['?', '&']).skip(1).filter(|it| !it.starts_with(name)).collect();
        let found = world.get(&format!("/audit?{}&{none}&limit=1", query.join("&"))).await;
        assert!(found["items"].as_array().unwrap().is_empty(), "{none}: {found}");
    }
}
