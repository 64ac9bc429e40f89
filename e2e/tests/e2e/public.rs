//! Every route without credentials: 401, unless it stands on the list below; and every call of the authority with
//! credentials that are not good enough. The routes are read from the sources, so a new one is walked from its first day.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::forge;
use e2e::http::{Answer, Request};
use e2e::leak::Leaked;
use e2e::process::root;
use e2e::run;
use e2e::system::System;
use serde_json::json;

use crate::shared::PLAIN;

/// What anybody may call, server by server. An entry that no longer answers is an error, as is one that is missing.
const PUBLIC: &[(&str, &str, &str)] = &[
    // People who are not signed in yet, or whose credential is in the body.
    ("authority", "POST", "/auth/register"),
    ("authority", "POST", "/auth/login"),
    ("authority", "POST", "/auth/refresh"),
    // Public keys and what clients have to know before they can authenticate.
    ("authority", "GET", "/keys/{aud}/jwks.json"),
    ("authority", "GET", "/keys/{aud}/{pem}"),
    ("authority", "GET", "/.well-known/jwks.json"),
    ("authority", "GET", "/.well-known/oauth-authorization-server"),
    ("authority", "GET", "/.well-known/openid-configuration"),
    // The gateway's own pages, and signing in.
    ("gateway", "GET", "/login"),
    ("gateway", "POST", "/login"),
    ("gateway", "POST", "/logout"),
    ("gateway", "POST", "/auth/register"),
    // Operations: loopback only.
    ("authority", "GET", "/-/live"),
    ("authority", "GET", "/-/ready"),
    ("authority", "GET", "/-/metrics"),
    ("gateway", "GET", "/-/live"),
    ("gateway", "GET", "/-/ready"),
    ("gateway", "GET", "/-/metrics"),
    ("users", "GET", "/-/live"),
    ("users", "GET", "/-/ready"),
    ("users", "GET", "/-/metrics"),
    ("posts", "GET", "/-/live"),
    ("posts", "GET", "/-/ready"),
    ("posts", "GET", "/-/metrics"),
    ("cars", "GET", "/-/live"),
    ("cars", "GET", "/-/ready"),
    ("cars", "GET", "/-/metrics"),
];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Routes of the gateway: it forwards whole trees, so they are not in its sources.
const GATEWAY: &[&str] = &[
    "/login",
    "/logout",
    "/session",
    "/auth/register",
    "/users/me",
    "/users/me/debits",
    "/users/-/whoami",
    "/users/-/whoami/elite",
    "/users",
    "/posts",
    "/posts/-/whoami",
    "/posts/-/whoami/elite",
    "/cars",
    "/cars/{car_id}",
    "/cars/{car_id}/buy",
    "/cars/-/whoami",
    "/cars/-/whoami/elite",
    "/cars/whatever/else",
];

/// What every server answers for its operator; they come from the library.
const OPERATIONS: &[&str] = &["/-/live", "/-/ready", "/-/metrics"];

/// The text of every `.route("…"` under a folder, with the prefix of its file.
fn routes_in(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources(&root().join(folder)) {
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests at the end of a file have routes of their own.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        // What wraps the router passes the path on.
        let code = code.replace("self.router.route(path", "");
        let nested = code.split(".nest(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        for piece in code.split(".route(").skip(1) {
            let literal = piece.trim_start();
            let literal = literal.strip_prefix('"').unwrap_or_else(|| {
                panic!("{}: the path of a route is not written where it is added: {:.40}", file.display(), literal)
            });
            found.insert(format!("{nested}{}", literal.split('"').next().unwrap()));
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            all.push(path);
        }
    }
    all
}

/// Every path of every server.
fn all_routes() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for (server, folder) in [
        ("authority", "crates/server/src"),
        ("users", "services/users/src"),
        ("posts", "services/posts/src"),
        ("cars", "services/cars/src"),
    ] {
        let routes = routes_in(folder);
        assert!(routes.len() >= 3, "the routes of {server} are no longer found in {folder}");
        all.extend(routes.into_iter().map(|route| (server, route)));
    }
    all.extend(GATEWAY.iter().map(|route| ("gateway", (*route).to_owned())));
    for server in ["authority", "gateway", "users", "posts", "cars"] {
        all.extend(OPERATIONS.iter().map(|route| (server, (*route).to_owned())));
    }
    all
}

/// A path that the route matches.
fn example(route: &str) -> String {
    let known = [("{aud}", "cars"), ("{pem}", "public.pem"), ("{service}", "cars"), ("{role}", "buyer")];
    let mut path = known.iter().fold(route.to_owned(), |path, (name, value)| path.replace(name, value));
    while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
        path.replace_range(open..=close, "some-id");
    }
    path
}

fn request(system: &System, server: &str, method: &str, path: &str) -> Request {
    let url = match server {
        "authority" => system.authority(path),
        "gateway" => system.gateway(path),
        service => system.service(service, path),
    };
    // As our own page sends it, so that what refuses is not the defence against foreign pages.
    let request = system.http.request(method, &url).header("propusk-csrf", "1");
    match method {
        "GET" => request,
        _ if path.starts_with("/oauth/") => request.form(&[]),
        _ => request.header("content-type", "application/json"),
    }
}

/// Whether somebody without credentials got past the guard.
fn is_let_in(answer: &Answer) -> bool {
    !matches!(answer.status, 401 | 405)
}

#[test]
fn every_route_demands_credentials_or_is_listed_as_public() {
    run(async {
        let system = &*PLAIN;
        let mut let_in = BTreeSet::new();
        let routes = all_routes();
        for (server, route) in &routes {
            for method in METHODS {
                let answer = request(system, server, method, &example(route)).send().await;
                if is_let_in(&answer) {
                    eprintln!("{server}: {method} {route}: {}", answer.status);
                    let_in.insert((*server, method, route.as_str()));
                } else if answer.status == 401 && !route.starts_with("/oauth/") {
                    assert_eq!(answer.header("propusk-verdict"), "none", "\n{answer}");
                    assert!(answer.headers_joined("www-authenticate").contains("Bearer realm="), "\n{answer}");
                }
            }
        }
        let listed: BTreeSet<_> = PUBLIC.iter().copied().collect();
        assert_eq!(listed.len(), PUBLIC.len(), "an entry is there twice");
        let unlisted: Vec<_> = let_in.difference(&listed).collect();
        assert!(unlisted.is_empty(), "let in without credentials: {unlisted:#?}");
        let dead: Vec<_> = listed.difference(&let_in).collect();
        assert!(dead.is_empty(), "listed as public, but not let in: {dead:#?}");
        eprintln!("{} routes walked", routes.len());
    });
}

/// The authority's own description of itself names no path that the walk leaves out, and leaves out none that is walked.
#[test]
fn every_documented_path_is_walked() {
    run(async {
        let system = &*PLAIN;
        let document = system.admin("GET", "/openapi.json").await.expect(200).json();
        let documented: BTreeSet<&str> =
            document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
        assert!(documented.len() > 30, "{documented:?}");
        let routes = all_routes();
        let of_authority = routes.iter().filter(|(server, _)| *server == "authority").map(|(_, route)| route.as_str());
        let walked: BTreeSet<&str> = of_authority.filter(|route| !OPERATIONS.contains(route)).collect();
        let forgotten: Vec<_> = documented.difference(&walked).collect();
        assert!(forgotten.is_empty(), "documented, but not walked: {forgotten:?}");
        let untold: Vec<_> = walked.difference(&documented).collect();
        assert!(untold.is_empty(), "served, but not documented: {untold:?}");
    });
}

/// Method and path of every call of the document that a bearer token opens.
async fn guarded_calls(system: &System) -> Vec<(String, String)> {
    let document = system.admin("GET", "/openapi.json").await.expect(200).json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if operation["security"].as_array().expect("security").iter().any(|it| it.get("bearer").is_some()) {
                all.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    all
}

/// Tokens that are good somewhere, or were good once, open nothing here.
#[test]
fn every_call_refuses_what_is_not_good_enough() {
    run(async {
        let system = &*PLAIN;
        let calls = guarded_calls(system).await;
        assert!(calls.len() > 50, "{calls:?}");
        let good = system.admin_token("propusk").await;
        let claims = forge::claims(&good);
        let past = claims["iat"].as_u64().expect("iat") - 3_600;
        let leaked = Leaked::of(system, "propusk");
        let expired = leaked.key.sign(&forge::header(&good), &forge::with(&claims, "exp", json!(past)));
        let revoked = system.admin_token("propusk").await;
        system.admin_json("POST", "/tokens/revoke", &json!({ "token": revoked })).await.expect_enforced();
        let nobody = system.register("no-admin").await;
        let too_little = system.login(&nobody, "propusk").await.access;
        let tokens = [
            ("of another audience", system.admin_token("cars").await, "invalid-token"),
            ("past its end", expired, "token-expired"),
            ("that was revoked", revoked, "token-revoked"),
            ("of somebody without permission", too_little, "missing-permission"),
        ];
        for (method, path) in &calls {
            for (what, token, slug) in &tokens {
                let is_for_admins = path.starts_with("/admin/");
                if *slug == "missing-permission" && !is_for_admins {
                    continue;
                }
                let answer = request(system, "authority", method, &example(path)).bearer(token).send().await;
                let status = if *slug == "missing-permission" { 403 } else { 401 };
                assert_eq!(answer.status, status, "{method} {path} with a token {what}\n{answer}");
                answer.expect_problem(status, slug);
            }
        }
        // None of that was the fault of the calls: with the right token they are answered.
        system.admin("GET", "/users").await.expect(200);
    });
}

#[test]
fn the_gateway_hides_what_is_not_for_the_outside() {
    run(async {
        let system = &*PLAIN;
        let admin = system.admin_token("propusk").await;
        for path in [
            "/auth/login",
            "/auth/me",
            "/auth/refresh",
            "/auth/logout",
            "/auth/sessions",
            "/auth/register/",
            "/oauth/token",
            "/oauth/introspect",
            "/admin/v1/users",
            "/admin",
            "/keys/cars/jwks.json",
            "/.well-known/openid-configuration",
            "/nothing",
        ] {
            for method in ["GET", "POST"] {
                for with_token in [false, true] {
                    let request = request(system, "gateway", method, path);
                    let request = if with_token { request.bearer(&admin) } else { request };
                    request.send().await.expect_problem(404, "not-found");
                }
            }
        }
    });
}

#[test]
fn the_feed_demands_the_credentials_of_a_service() {
    run(async {
        let system = &*PLAIN;
        let methods = rpc_methods();
        assert!(methods.len() >= 2, "the calls of the feed are no longer found");
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
        for method in methods {
            for authorization in ["", "Basic Y2FyczpndWVzc2Vk", "Bearer x"] {
                let mut call = client
                    .post(format!("{}{method}", system.ready.feed.trim_end_matches('/')))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    // One empty message.
                    .body(vec![0_u8; 5]);
                if !authorization.is_empty() {
                    call = call.header("authorization", authorization);
                }
                let answer = call.send().await.unwrap();
                let status = answer.headers().get("grpc-status").and_then(|status| status.to_str().ok());
                // UNAUTHENTICATED, before anything is streamed.
                assert_eq!(status, Some("16"), "{method} with {authorization:?}: {:?}", answer.headers());
            }
        }
    });
}

/// `/package.Service/Method` of every call in the proto.
fn rpc_methods() -> Vec<String> {
    let proto = root().join("crates/verify/proto/propusk/feed/v1/feed.proto");
    let text = std::fs::read_to_string(&proto).unwrap();
    let (mut package, mut service, mut methods) = ("", "", Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("package ") {
            package = rest.trim_end_matches(';');
        } else if let Some(rest) = line.strip_prefix("service ") {
            service = rest.split_whitespace().next().unwrap();
        } else if let Some(rest) = line.strip_prefix("rpc ") {
            methods.push(format!("/{package}.{service}/{}", rest.split('(').next().unwrap().trim()));
        }
    }
    methods
}
