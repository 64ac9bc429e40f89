//! Liveness, readiness and metrics of every server.

use e2e::forge::claims;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

use crate::shared::PLAIN;

fn servers(system: &System) -> Vec<(String, String)> {
    let mut all = vec![("authority".to_owned(), system.authority("")), ("gateway".to_owned(), system.gateway(""))];
    for service in ["users", "posts", "cars"] {
        all.push((service.to_owned(), system.service(service, "")));
    }
    all
}

#[test]
fn every_server_says_whether_it_lives_and_is_ready() {
    run(async {
        let system = &*PLAIN;
        for (name, base) in servers(system) {
            system.http.get(&format!("{base}/-/live")).send().await.expect(200);
            let ready = system.http.get(&format!("{base}/-/ready")).send().await.expect(200);
            assert!(ready.json()["checks"].is_object(), "{name}\n{ready}");
            assert_ne!(ready.header("x-request-id"), "", "{name}\n{ready}");
            system.http.get(&format!("{base}/-/no-such-thing")).send().await.expect(404);
        }
    });
}

#[test]
fn requests_are_counted_under_the_name_of_their_route() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("counted").await;
        let token = system.login(&person, "cars").await.access;
        let base = system.service("cars", "");
        let labels = ["route=\"/cars/{car_id}\"", "method=\"GET\"", "status=\"404\""];
        let before = system.metric(&base, "propusk_http_requests_total", &labels).await;
        for n in 0..3 {
            let url = system.service("cars", &format!("/cars/no-such-car-{n}"));
            system.http.get(&url).bearer(&token).send().await.expect(404);
        }
        let after = system.metric(&base, "propusk_http_requests_total", &labels).await;
        assert!(after >= before + 3.0, "{before} → {after}");
        for (name, base) in servers(system) {
            let answer = system.http.get(&format!("{base}/-/metrics")).send().await.expect(200);
            let kind = answer.header("content-type");
            assert!(kind.contains("openmetrics-text") || kind.starts_with("text/plain"), "{name}: {kind}");
            let text = answer.text();
            assert!(text.contains("propusk_http_requests_total{"), "{name}:\n{text}");
            // What a client sends must not become a label: neither paths nor methods nor names.
            let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
            for leaked in ["no-such-car", person.id.as_str(), person.username.as_str(), jti.as_str()] {
                assert!(!text.contains(leaked), "{name}: {leaked} is in the metrics");
            }
        }
        let odd = system.http.request("PROPFIND-77", &system.service("cars", "/cars")).send().await;
        assert!(matches!(odd.status, 400 | 401 | 405 | 501), "\n{odd}");
        let text = system.http.get(&format!("{base}/-/metrics")).send().await.expect(200).text();
        assert!(!text.contains("PROPFIND-77"), "a client's own method is a label");
    });
}

#[test]
fn a_verifier_shows_how_old_its_view_is() {
    run(async {
        let system = &*PLAIN;
        for service in ["users", "posts", "cars"] {
            let text = system.http.get(&system.service(service, "/-/metrics")).send().await.expect(200).text();
            for gauge in ["propusk_view_age_seconds", "propusk_lease_left_seconds"] {
                let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(gauge)).collect();
                assert!(!lines.is_empty(), "{service} has no {gauge}:\n{text}");
                for line in lines {
                    let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                    assert!((0.0..10.0).contains(&value), "{service}: {line}");
                }
            }
        }
    });
}

#[test]
fn the_operations_of_a_service_are_not_reachable_through_the_gateway() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("operator").await;
        for path in ["/-/metrics", "/-/ready"] {
            // The gateway's own, not a service's.
            let own = system.http.get(&system.gateway(path)).send().await.expect(200).text();
            assert!(!own.contains("route=\"/cars/{car_id}\""), "{own}");
        }
        for path in ["/cars/../-/metrics", "/cars/%2e%2e/-/metrics", "/cars/..%2f-/metrics", "/cars//-/metrics"] {
            let head = format!(
                "GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
                system.login(&person, "cars").await.access
            );
            let reply =
                e2e::raw::exchange(&system.ready.gateway, head.as_bytes(), std::time::Duration::from_secs(5)).await;
            assert!(matches!(reply.status(), 400 | 404), "{path}: {}", reply.text);
            assert!(!reply.text.contains("propusk_http_requests_total"), "{path}: {}", reply.text);
        }
    });
}

#[test]
fn a_server_that_has_not_seen_the_log_is_not_ready_and_one_that_has_stays_ready() {
    run(async {
        let system = System::start(&Options::new().split());
        system.kill("authority");
        system.kill("cars");
        system.restart("cars");
        let ready = |part: &'static str| {
            let base = if part == "gateway" { system.gateway("") } else { system.service(part, "") };
            system.http.get(&format!("{base}/-/ready")).try_send()
        };
        let answer = e2e::eventually_async("cars answers", START_LIMIT, || async { ready("cars").await.ok() }).await;
        let answer = answer.expect(503);
        assert!(answer.json()["checks"].is_object(), "\n{answer}");
        system.http.get(&system.service("cars", "/-/live")).send().await.expect(200);
        // Taking everybody out because one is away would make it worse.
        for part in ["gateway", "users", "posts"] {
            ready(part).await.unwrap().expect(200);
        }
        system.restart("authority");
        for name in ["authority", "gateway", "users", "posts", "cars"] {
            system.wait_ready(name).await;
        }
    });
}

#[test]
fn what_another_proxy_hands_on_is_not_from_this_machine() {
    run(async {
        let system = &*PLAIN;
        for path in ["/-/live", "/-/ready", "/-/metrics"] {
            for name in ["x-forwarded-for", "forwarded"] {
                let request = system.http.get(&system.gateway(path)).header(name, "for=203.0.113.7");
                request.send().await.expect_problem(404, "not-found");
            }
        }
    });
}
