//! A connection between `cars` and the feed that is cut, delayed and repeated.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use e2e::http::Refusal;
use e2e::proxy::Proxy;
use e2e::raw::address_of;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

use super::{LEASE, MARGIN, made_by, wait_until_live};

/// For how long the connection is a bad one.
const STRETCH: Duration = Duration::from_secs(20);

/// Starts `cars` again, with a proxy between it and the feed.
async fn put_between(system: &System, seed: u64) -> Proxy {
    let feed = address_of(&system.ready.feed);
    let proxy = Proxy::start(&feed, seed).await;
    system.kill("cars");
    let through = proxy.address();
    let argv = &system.ready.processes["cars"].argv;
    assert!(argv.iter().any(|word| word.contains(&feed)), "the feed's address is not in the command line: {argv:?}");
    system.restart_with("cars", |word| word.replace(&feed, &through), &[]);
    system.wait_ready("cars").await;
    proxy
}

#[test]
fn nothing_revoked_is_accepted_over_a_connection_that_cuts_delays_and_repeats() {
    run(async {
        let seed: u64 =
            std::env::var("PROPUSK_PROXY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                u64::from(since.subsec_nanos())
            });
        eprintln!("PROPUSK_PROXY_SEED={seed}");
        let system = System::start(&Options::new().split());
        let proxy = put_between(&system, seed).await;
        wait_until_live(&system).await;
        let person = system.register("proxied").await;

        proxy.behave(false);
        let begun = Instant::now();
        let (mut rounds, mut accepted) = (0, 0);
        while begun.elapsed() < STRETCH {
            let tokens = system.login(&person, "cars").await;
            let answer = system.elite("cars", &tokens.access).await;
            assert!(answer.status == 200 || answer.status == 503, "\n{answer}");
            accepted += usize::from(answer.status == 200);
            let url = system.authority("/auth/logout");
            let body = serde_json::json!({"refresh_token": tokens.refresh});
            let asked = Instant::now();
            let answer = system.http.post(&url).json(&body).send().await.expect(204).expect_enforced_header();
            assert!(asked.elapsed() <= LEASE + MARGIN, "{:?}\n{answer}", asked.elapsed());
            let answer = system.elite("cars", &tokens.access).await;
            assert!(answer.status == 401 || answer.status == 503, "accepted after `enforced`\n{answer}");
            rounds += 1;
        }
        let mischief = proxy.mischief();
        eprintln!("{rounds} rounds, {accepted} tokens accepted before their revocation; {mischief:?}");
        assert!(mischief.cuts.load(Ordering::SeqCst) > 0, "the proxy cut nothing");
        assert!(mischief.delays.load(Ordering::SeqCst) > 0, "the proxy delayed nothing");
        assert!(accepted > 0, "nothing was ever accepted, so nothing was shown");

        proxy.behave(true);
        wait_until_live(&system).await;
        let tokens = system.login(&person, "cars").await;
        e2e::eventually_async("it decides by lease again", START_LIMIT, || async {
            let answer = system.elite("cars", &tokens.access).await.expect(200);
            (made_by(&answer) == "lease").then_some(())
        })
        .await;
    });
}

#[test]
fn a_verifier_that_is_cut_off_goes_on_to_its_bounds_and_catches_up() {
    run(async {
        let system = System::start(&Options::new().split());
        let mut proxy = Some(put_between(&system, 1).await);
        wait_until_live(&system).await;
        let person = system.register("cut-off").await;
        let (ended, kept) = (system.login(&person, "cars").await, system.login(&person, "cars").await);
        let address = proxy.as_ref().unwrap().address();
        // Nobody listens there any more.
        drop(proxy.take());
        let body = serde_json::json!({"refresh_token": ended.refresh});
        let request = system.http.post(&system.authority("/auth/logout")).json(&body);
        request.send().await.expect(204).expect_enforced_header();
        let answer = system.elite("cars", &ended.access).await;
        assert!(answer.status == 401 || answer.status == 503, "accepted after `enforced`\n{answer}");
        e2e::eventually_async("elite cannot tell", LEASE + MARGIN, || async {
            let answer = system.elite("cars", &kept.access).await;
            (answer.status == 503).then(|| answer.expect_refusal(Refusal::Unknown))
        })
        .await;
        // Somebody listens there again.
        let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
        let feed = address_of(&system.ready.feed);
        let forwarding = e2e::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let feed = feed.clone();
                e2e::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(feed).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        e2e::eventually_async("it catches up", START_LIMIT, || async {
            let answer = system.elite("cars", &kept.access).await;
            (answer.status == 200 && made_by(&answer) == "lease").then_some(())
        })
        .await;
        system.elite("cars", &ended.access).await.expect_refusal(Refusal::Revoked);
        forwarding.abort();
    });
}
