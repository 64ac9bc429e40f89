//! The feed with real processes, each part its own: verifiers that freeze, lose their connection or die, an authority
//! that is killed in the middle of a revocation, and minting in a race with revoking.
//!
//! What is to hold: after a call that says `enforced`, no elite decision anywhere accepts what was revoked, whenever it
//! was minted; nor does an ordinary one later than the bound of its view.

mod bound;
mod clocks;
mod crash;
mod frozen;
mod policies;
mod proxy;
mod races;

use std::time::Duration;

use e2e::http::Answer;
use e2e::run;
use e2e::system::{Frozen, START_LIMIT, System};
use serde_json::Value;

/// How long a grant lasts.
const LEASE: Duration = Duration::from_secs(3);
/// For processes to be scheduled on a busy machine.
const MARGIN: Duration = Duration::from_millis(1_500);
/// How old the view of an ordinary endpoint may be.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// The verifiers that the authority knows of.
async fn verifiers(system: &System) -> Vec<Value> {
    let answer = system.admin("GET", "/verifiers").await.expect(200);
    answer.json()["items"].as_array().unwrap_or_else(|| panic!("no list\n{answer}")).clone()
}

/// The live ones: those that hold a lease now.
async fn live(system: &System) -> Vec<Value> {
    let mut all = verifiers(system).await;
    all.retain(|verifier| verifier["lease_left_ms"].as_u64().is_some_and(|left| left > 0));
    all
}

/// Waits until all four parts that verify are live and have applied the head of the log; fewer than three would show
/// nothing.
pub(crate) async fn wait_until_live(system: &System) {
    e2e::eventually_async("every verifier is live and up to date", START_LIMIT, || async {
        let live = live(system).await;
        let names: Vec<&str> = live.iter().filter_map(|verifier| verifier["service"].as_str()).collect();
        let all = ["users", "posts", "cars"].iter().all(|name| names.contains(name));
        let current = live.iter().all(|verifier| verifier["applied_seq"] == verifier["head_seq"]);
        (live.len() >= 3 && all && current).then_some(())
    })
    .await;
}

/// Stops a part right after it was granted a lease, so that most of the lease is still to come.
pub(crate) async fn freeze_with_lease(system: &System, service: &str) -> Frozen {
    e2e::eventually_async("a lease that was just granted", START_LIMIT, || async {
        let live = live(system).await;
        let own = live.iter().filter(|verifier| verifier["service"] == service);
        let left = own.filter_map(|verifier| verifier["lease_left_ms"].as_u64()).max()?;
        (u128::from(left) > LEASE.as_millis() / 2).then(|| system.freeze(service))
    })
    .await
}

/// What an elite decision was made by, from `Propusk-Decision`.
fn made_by(answer: &Answer) -> String {
    let decision = answer.header("propusk-decision");
    let by = decision.split(';').find_map(|part| part.trim().strip_prefix("by="));
    by.unwrap_or_else(|| panic!("no Propusk-Decision\n{answer}")).to_owned()
}

/// The entry of a report about one service.
fn laggard<'a>(report: &'a Value, service: &str) -> Option<&'a Value> {
    let laggards = report["laggards"].as_array().unwrap_or_else(|| panic!("no laggards: {report}"));
    laggards.iter().find(|laggard| laggard["service"] == service)
}

#[test]
fn every_verifier_is_on_the_list_and_decides_by_lease() {
    run(async {
        let system = System::start(&e2e::system::Options::new().split());
        wait_until_live(&system).await;
        let person = system.register("listed").await;
        for verifier in live(&system).await {
            for (member, is_right) in [
                ("service", verifier["service"].is_string()),
                ("instance", verifier["instance"].as_str().is_some_and(|instance| instance.len() >= 16)),
                ("version", verifier["version"].is_string()),
                ("connected_at", verifier["connected_at"].as_str().is_some_and(|at| at.ends_with('Z'))),
                ("applied_seq", verifier["applied_seq"].is_u64()),
                ("head_seq", verifier["head_seq"].is_u64()),
                ("lag_ms", verifier["lag_ms"].is_u64()),
                ("cache.entries", verifier["cache"]["entries"].is_u64()),
                ("cache.hits", verifier["cache"]["hits"].is_u64()),
                ("cache.misses", verifier["cache"]["misses"].is_u64()),
            ] {
                assert!(is_right, "{member}: {verifier}");
            }
            let left = verifier["lease_left_ms"].as_u64().unwrap();
            assert!(u128::from(left) <= LEASE.as_millis(), "{verifier}");
        }
        for service in ["users", "posts", "cars"] {
            let token = system.login(&person, service).await.access;
            e2e::eventually_async("elite by lease", START_LIMIT, || async {
                let answer = system.elite(service, &token).await.expect(200);
                (made_by(&answer) == "lease").then_some(())
            })
            .await;
            let answer = system.ordinary(service, &token).await.expect(200);
            assert_eq!(made_by(&answer), "memory", "an ordinary decision asks nobody, and needs no lease\n{answer}");
        }
    });
}

#[test]
fn a_restarted_service_is_another_instance() {
    run(async {
        let system = System::start(&e2e::system::Options::new().split());
        wait_until_live(&system).await;
        let instance_of = |all: &[Value]| -> String {
            let newest = all.iter().filter(|verifier| verifier["service"] == "cars");
            newest
                .max_by_key(|verifier| verifier["connected_at"].as_str().unwrap_or_default().to_owned())
                .and_then(|verifier| verifier["instance"].as_str())
                .expect("cars")
                .to_owned()
        };
        let before = instance_of(&live(&system).await);
        system.kill("cars");
        system.restart("cars");
        system.wait_ready("cars").await;
        e2e::eventually_async("the new instance", START_LIMIT, || async {
            let live = live(&system).await;
            (live.iter().any(|verifier| verifier["service"] == "cars") && instance_of(&live) != before).then_some(())
        })
        .await;
    });
}
