//! A flood of sign-ins: each costs 19 MiB and much time, so most are told to come back, and memory stays flat.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::alone;
use e2e::http::Http;
use e2e::people::{PASSWORD, Tokens};
use e2e::process::memory_kib;
use e2e::system::{Options, System};
use futures_util::future::join_all;
use serde_json::json;

const AT_ONCE: usize = 300;
const EACH: usize = 8;
const CLIENTS: usize = 4;
/// What one sign-in takes while it is being hashed.
const HASHING_KIB: u64 = 19_456;
/// For everything else that grows under load: connections, buffers, the log of refusals.
const ALLOWED_KIB: u64 = 40 * 1_024;

#[test]
fn a_flood_of_sign_ins_is_answered_in_bounded_memory() {
    alone(async {
        let system = System::start(&Options::new().split().real_hashing());
        let person = system.register("bystander").await;
        let tokens = system.login(&person, "propusk").await;
        let pid = system.pid("authority");
        let before = memory_kib(pid, "VmRSS:");
        let threads = u64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap();
        let limit = before + threads * HASHING_KIB + ALLOWED_KIB;

        // Made before, for that takes time of its own.
        let clients: Vec<Http> = (0..CLIENTS).map(|_| Http::new()).collect();
        let over = AtomicBool::new(false);
        let watch = async {
            let (mut most, mut slowest) = (0, Duration::ZERO);
            while !over.load(Ordering::SeqCst) {
                most = most.max(memory_kib(pid, "VmRSS:"));
                // Everybody else is served meanwhile: live, and with a token they had.
                let begun = Instant::now();
                system.http.get(&system.authority("/-/live")).send().await.expect(200);
                let me = system.http.get(&system.authority("/auth/me")).bearer(&tokens.access);
                me.send().await.expect(200);
                slowest = slowest.max(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (most, slowest)
        };
        let flood = async {
            let answers = join_all((0..AT_ONCE).map(|n| attacker(&system, &clients[n % CLIENTS], n))).await;
            over.store(true, Ordering::SeqCst);
            answers
        };
        let ((most, slowest), answers) = tokio::join!(watch, flood);
        let mut counts = BTreeMap::<u16, usize>::new();
        for status in answers.into_iter().flatten() {
            *counts.entry(status).or_default() += 1;
        }
        eprintln!("answers {counts:?}; RSS {before} → at most {most} KiB of {limit}; bystander's slowest {slowest:?}");
        assert_eq!(counts.values().sum::<usize>(), AT_ONCE * EACH, "everybody was answered");
        assert!(counts.keys().all(|status| matches!(status, 401 | 429 | 503)), "{counts:?}");
        let held_off = counts.get(&429).copied().unwrap_or_default() + counts.get(&503).copied().unwrap_or_default();
        assert!(held_off > AT_ONCE, "most were told to come back: {counts:?}");
        assert!(most < limit, "{most} KiB of {limit}");
        assert!(slowest < Duration::from_secs(5), "a bystander waited {slowest:?}");

        // And when it is over, it is over.
        e2e::eventually_async("an honest sign-in", Duration::from_secs(70), || async {
            let answer = system.try_login(&person.username, PASSWORD, None).await;
            (answer.status == 200).then(|| Tokens::of(answer))
        })
        .await;
    });
}

/// Wrong passwords for people that there are not.
async fn attacker(system: &System, http: &Http, n: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for turn in 0..EACH {
        let body = json!({"username": format!("flood-{n}-{turn}"), "password": "a wrong password of some length"});
        let answer = http.post(&system.authority("/auth/login")).json(&body).send().await;
        if matches!(answer.status, 429 | 503) {
            let slug = if answer.status == 429 { "throttled" } else { "busy" };
            let after: u64 = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("Retry-After\n{answer}"));
            assert!(after >= 1, "\n{answer}");
            let answer = answer.expect_problem(if slug == "busy" { 503 } else { 429 }, slug);
            statuses.push(answer.status);
        } else {
            statuses.push(answer.expect_problem(401, "invalid-credentials").status);
        }
    }
    statuses
}

#[test]
fn huge_and_endless_bodies_are_refused_without_being_kept() {
    alone(async {
        let system = System::start(&Options::new().split());
        let pid = system.pid("authority");
        let before = memory_kib(pid, "VmRSS:");
        let body = format!("{{\"username\":\"{}\"}}", "a".repeat(8 * 1_024 * 1_024));
        for path in ["/auth/login", "/auth/register", "/auth/refresh", "/oauth/token", "/oauth/introspect"] {
            let kind =
                if path.starts_with("/oauth") { "application/x-www-form-urlencoded" } else { "application/json" };
            for _ in 0..10 {
                // The server may close before it has read everything; then there is no answer to look at.
                let request = system.http.post(&system.authority(path)).body(kind, body.clone());
                if let Ok(answer) = request.try_send().await {
                    assert!(matches!(answer.status, 400 | 401 | 413), "\n{answer}");
                }
            }
        }
        let after = memory_kib(pid, "VmRSS:");
        assert!(after < before + ALLOWED_KIB, "{before} → {after} KiB");
        system.http.get(&system.authority("/-/live")).send().await.expect(200);
    });
}
