//! Two administrators at work at the same time: nothing of one is lost to the other without a word.

use e2e::http::Answer;
use e2e::system::System;
use e2e::{run, unique};
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// A token of somebody new who administers.
async fn administrator(system: &System) -> String {
    let person = system.register_with_role("administrator", "propusk", "admin").await;
    system.login(&person, "propusk").await.access
}

async fn call(system: &System, who: &str, method: &str, path: &str, body: &Value, if_match: &str) -> Answer {
    let url = system.authority(&format!("/admin/v1{path}"));
    let request = system.http.request(method, &url).bearer(who);
    let request = if if_match.is_empty() { request } else { request.header("if-match", if_match) };
    if body.is_null() { request.send().await } else { request.json(body).send().await }
}

fn permissions(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    json["permissions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_slower_of_two_editors_is_told_and_nothing_is_lost() {
    run(async {
        let system = &*PLAIN;
        let (ann, ben) = (administrator(system).await, administrator(system).await);
        let path = format!("/services/cars/roles/{}", unique("edited"));
        call(system, &ann, "PUT", &path, &json!({ "permissions": ["cars:look"] }), "").await.expect(200);
        for round in 0..10 {
            let read = call(system, &ann, "GET", &path, &Value::Null, "").await.expect(200);
            let (seen, before) = (read.header("etag").to_owned(), permissions(&read));
            let with = |new: &str| {
                let mut all = before.clone();
                all.push(format!("cars:{new}{round}"));
                json!({ "permissions": all })
            };
            let (by_ann, by_ben) = (with("ann"), with("ben"));
            let answers = tokio::join!(
                call(system, &ann, "PUT", &path, &by_ann, &seen),
                call(system, &ben, "PUT", &path, &by_ben, &seen),
            );
            // One was first; the other reads again and adds what it wanted to.
            let (slower, who, new) = match (answers.0.status, answers.1.status) {
                (200, 412) => (answers.1, &ben, "ben"),
                (412, 200) => (answers.0, &ann, "ann"),
                other => panic!("round {round}: {other:?}"),
            };
            slower.expect_problem(412, "changed");
            let read = call(system, who, "GET", &path, &Value::Null, "").await.expect(200);
            let mut all = permissions(&read);
            assert_eq!(all.len(), before.len() + 1, "what the faster one wrote is there");
            all.push(format!("cars:{new}{round}"));
            let seen = read.header("etag").to_owned();
            call(system, who, "PUT", &path, &json!({ "permissions": all }), &seen).await.expect(200);
        }
        // One permission at a time needs no reading before: both add ten, and all are there.
        let add = |who: &'static str, token: String| {
            let path = path.clone();
            futures_util::future::join_all((0..10).map(move |n| {
                let (path, token) = (format!("{path}/permissions/cars:{who}-{n}"), token.clone());
                async move { call(&PLAIN, &token, "PUT", &path, &Value::Null, "").await.status }
            }))
        };
        let (first, second) = tokio::join!(add("ann", ann.clone()), add("ben", ben));
        assert_eq!([first, second].concat(), [200; 20]);
        let all = permissions(&call(system, &ann, "GET", &path, &Value::Null, "").await.expect(200));
        assert_eq!(all.len(), 1 + 20 + 20, "{all:?}");
    });
}

#[test]
fn the_same_thing_is_made_once_by_two_administrators() {
    run(async {
        let system = &*PLAIN;
        let (ann, ben) = (administrator(system).await, administrator(system).await);
        for (path, body, slug) in [
            ("/users", json!({ "username": unique("twin") }), "username-taken"),
            ("/groups", json!({ "id": unique("twin") }), "group-exists"),
            ("/services", json!({ "id": unique("twin"), "alg": "Ed25519" }), "service-exists"),
        ] {
            let answers =
                tokio::join!(call(system, &ann, "POST", path, &body, ""), call(system, &ben, "POST", path, &body, ""),);
            let (made, refused) = if answers.0.status == 201 { answers } else { (answers.1, answers.0) };
            made.expect(201);
            refused.expect_problem(409, slug);
        }
    });
}
