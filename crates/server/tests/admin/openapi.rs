//! The document that is made from the routes: whole, and true.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

/// Path, method and what is written about it.
fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            all.push((path.as_str(), method.to_uppercase().parse().unwrap(), operation));
        }
    }
    all
}

/// Every `$ref` in a document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let world = World::start().await;
    let answer = world.call_openly(Method::GET, "/admin/v1/openapi.json", json!(null)).await;
    assert_eq!(answer.problem(401), "no-credentials");
    let document = world.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    for start in ["/auth/", "/oauth/", "/keys/", "/.well-known/", "/admin/v1/"] {
        assert!(operations.iter().any(|(path, ..)| path.starts_with(start)), "{start}");
    }
    let ids: BTreeSet<_> = operations.iter().map(|(.., it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "operationIds are unique");
    for (path, method, operation) in &operations {
        let in_path: Vec<_> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let parameters = operation["parameters"].as_array().unwrap();
        let declared: Vec<_> =
            parameters.iter().filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(in_path, declared, "{method} {path}");
        let names: BTreeSet<_> = parameters.iter().map(|it| (it["in"].as_str(), it["name"].as_str())).collect();
        assert_eq!(names.len(), parameters.len(), "{method} {path}: a parameter is there twice");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
        if path.starts_with("/admin/") {
            assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{method} {path}");
            assert!(answers.contains_key("401") && answers.contains_key("403"), "{method} {path}");
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let mut schemas: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    for reference in found {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{reference}");
        schemas.remove(name);
    }
    assert!(schemas.is_empty(), "nobody refers to {schemas:?}");
}

/// What a body has to look like is what the code takes.
#[tokio::test]
async fn schemas_say_what_is_taken() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await;
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let new_user = schema("NewUser");
    assert_eq!(new_user["required"], json!(["username"]));
    assert_eq!(new_user["additionalProperties"], false);
    assert_eq!(new_user["properties"]["password"]["type"], json!(["string", "null"]));
    let client = schema("NewClient");
    assert_eq!(client["required"], json!(["client_name", "grant_types", "token_endpoint_auth_method", "audiences"]));
    let user = schema("User");
    assert_eq!(user["properties"]["created_at"], json!({ "type": "string", "format": "date-time" }));
    let create = &document["paths"]["/admin/v1/users"]["post"];
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["schema"],
        json!({ "$ref": "#/components/schemas/NewUser" })
    );
    let named = |name: &str| create["parameters"].as_array().unwrap().iter().any(|it| it["name"] == name);
    assert!(named("Idempotency-Key") && named("wait") && !named("If-Match"));
}

/// Each call, with things that there are and that there are not, answers what the document says it may.
#[tokio::test]
async fn no_answer_is_undocumented() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await;
    let ids = [("{id}", "cars"), ("{service}", "cars"), ("{role}", "clerk"), ("{permission}", "cars:look")];
    let nothing = [("{id}", "none"), ("{service}", "none"), ("{role}", "No!"), ("{permission}", "no%20permission")];
    let bodies = [None, Some(json!({})), Some(json!([])), Some(json!({ "id": "x", "unknown": 1 }))];
    let (mut calls, mut seen) = (0, BTreeSet::new());
    for (path, method, operation) in operations(&document) {
        for known in [ids, nothing] {
            let mut path = known.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
            while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
                path.replace_range(open..=close, "some-id");
            }
            for query in ["", "?limit=0", "?limit=1&wait=never", "?cursor=%00&permission=a%20b&wait_ms=x"] {
                for body in &bodies {
                    let answer = world.send(method.clone(), &format!("{path}{query}"), body.as_ref()).await;
                    let documented = &operation["responses"][answer.status.as_str()];
                    assert!(documented.is_object(), "{method} {path}{query} {body:?}: {answer:?}");
                    assert!(answer.status.as_u16() != 500, "{method} {path}{query} {body:?}: {answer:?}");
                    let kind = answer.header("content-type");
                    let kind = kind.split(';').next().unwrap();
                    let is_known = if kind.is_empty() {
                        documented.get("content").is_none()
                    } else {
                        documented["content"].get(kind).is_some()
                    };
                    assert!(is_known, "{method} {path}{query}: {kind} is not documented for {}", answer.status);
                    assert!(answer.status != 401 || !path.starts_with("/admin/"), "{method} {path}: {answer:?}");
                    seen.insert(answer.status.as_u16());
                    calls += 1;
                }
            }
        }
    }
    assert!(calls > 1_000, "{calls}");
    // Calls got as far as what they are about.
    assert!(seen.is_superset(&[200, 204, 400, 403, 404, 415, 428].into()), "{seen:?}");
}
