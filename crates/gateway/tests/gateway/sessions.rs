//! Tokens of cookie sessions: had once however many ask, replaced when they do not stand, and the ends of sessions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use propusk_verify::check::CheckVerdict;
use serde_json::json;

use crate::http::{Client, get, post};
use crate::world::{World, good};

#[tokio::test]
async fn thirty_parallel_requests_are_one_rotation() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let answers = join_all((0..30).map(|_| world.send(get("/cars").cookie(&cookie)))).await;
    assert!(answers.into_iter().all(|answer| answer.expect(200).session_cookie().is_some()));
    assert_eq!((world.authority.count("refresh"), world.authority.count("rotation")), (1, 1));
    assert_eq!(world.service.seen().len(), 30);
}

#[tokio::test]
async fn thirty_parallel_requests_with_a_token_that_has_expired_are_one_rotation() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    // Told to be good for long, yet past its end: the gateway finds out when it judges it.
    world.authority.mints(-60, 600);
    let answer = world.send(get("/cars").cookie(&cookie)).await.expect_problem(503, "cannot-tell");
    assert_eq!(answer.session_cookie(), None);
    world.authority.mints(600, 600);
    let before = world.authority.count("refresh");
    let answers = join_all((0..30).map(|_| world.send(get("/cars").cookie(&cookie)))).await;
    answers.into_iter().for_each(|answer| drop(answer.expect(200)));
    assert_eq!(world.authority.count("refresh") - before, 1);
    assert_eq!(world.authority.count("rotation"), 1);
}

#[tokio::test]
async fn one_rotation_serves_every_audience_and_the_cookie_carries_the_tokens_on() {
    let mut world = World::start().await;
    let cookie = world.sign_in().await;
    let cookie = world.send(get("/cars").cookie(&cookie)).await.expect(200).session_cookie().unwrap();
    let cookie = world.send(get("/posts").cookie(&cookie)).await.expect(200).session_cookie().unwrap();
    assert_eq!((world.authority.count("refresh"), world.authority.count("rotation")), (2, 1));
    let answer = world.send(get("/cars").cookie(&cookie)).await.expect(200);
    assert_eq!(answer.session_cookie(), None, "nothing new, no cookie");
    assert_eq!(world.authority.count("refresh"), 2);
    // With good tokens at hand the authority is not needed.
    world.authority_server.stop().await;
    world.send(get("/posts").cookie(&cookie)).await.expect(200);
}

#[tokio::test]
async fn an_old_cookie_is_as_good_as_a_new_one() {
    let world = World::start().await;
    let first = world.sign_in().await;
    let second = world.send(get("/cars").cookie(&first)).await.expect(200).session_cookie().unwrap();
    let answer = world.send(get("/cars").cookie(&first)).await.expect(200);
    assert!(answer.session_cookie().is_some(), "who comes with the old one gets the new one");
    assert_ne!(first, second);
    assert_eq!(world.authority.count("refresh"), 1);
}

#[tokio::test]
async fn the_cookie_alone_is_enough() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let cookie = world.send(get("/cars").cookie(&cookie)).await.expect(200).session_cookie().unwrap();
    // Another gateway with the same key, which has never seen the session, and whose authority is another.
    let other = World::start().await;
    let answer = other.send(get("/cars").cookie(&cookie)).await;
    assert_ne!(answer.status, 400, "it opens");
    let stranger = World::with(|config| config.cookie_key = zeroize::Zeroizing::new([8; 32])).await;
    stranger.send(get("/cars").cookie(&cookie)).await.expect_problem(401, "invalid-token");
    let rotated = World::with(|config| {
        config.previous_cookie_keys = vec![config.cookie_key.clone()];
        config.cookie_key = zeroize::Zeroizing::new([8; 32]);
    });
    assert_ne!(
        rotated.await.send(get("/cars").cookie(&cookie)).await.json()["type"],
        "urn:propusk:problem:invalid-token"
    );
}

#[tokio::test]
async fn a_cookie_that_was_tampered_with_is_none_of_ours() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let last = if cookie.ends_with('A') { "B" } else { "A" };
    for wrong in [format!("{}{last}", &cookie[..cookie.len() - 1]), String::new(), "a".repeat(5000)] {
        world.send(get("/cars").cookie(&wrong)).await.expect_problem(401, "invalid-token");
    }
    assert!(world.service.seen().is_empty());
}

#[tokio::test]
async fn a_stale_token_is_replaced_once_for_all_who_wait() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let cookie = world.send(get("/elite").cookie(&cookie)).await.expect(200).session_cookie().unwrap();
    world.check.everything_is_stale(&world.authority.mint);
    let before = world.authority.count("refresh");
    let answers = join_all((0..30).map(|_| world.send(get("/elite").cookie(&cookie)))).await;
    answers.into_iter().for_each(|answer| drop(answer.expect(200)));
    assert_eq!(world.authority.count("refresh") - before, 1);
}

#[tokio::test]
async fn if_new_tokens_are_stale_too_the_session_is_kept() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.check.says(Some(CheckVerdict::Stale));
    let answer = world.send(get("/elite").cookie(&cookie)).await.expect_problem(503, "cannot-tell");
    assert_ne!(answer.header("retry-after"), "");
    assert_eq!((answer.session_cookie(), world.authority.count("refresh")), (None, 2));
    world.check.says(good(&[]));
    world.send(get("/elite").cookie(&cookie)).await.expect(200);
}

#[tokio::test]
async fn a_revoked_session_ends_here_and_there() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.check.says(Some(CheckVerdict::Refused));
    let answer = world.send(get("/elite").cookie(&cookie)).await.expect_problem(401, "token-revoked");
    assert_eq!(answer.session_cookie().as_deref(), Some(""));
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"elite\", error=\"invalid_token\"");
    world.check.says(good(&[]));
    let navigation = get("/elite/1").header("Sec-Fetch-Mode", "navigate").cookie(&cookie);
    let answer = world.send(navigation).await.expect(303);
    assert_eq!(answer.header("location"), "/login?return_to=%2Felite%2F1");
    assert_eq!(answer.session_cookie().as_deref(), Some(""));
    world.send(get("/session").cookie(&cookie)).await.expect_problem(401, "token-revoked");
    world.until("its end at the authority", |world| world.authority.open_sessions() == 0).await;
}

#[tokio::test]
async fn a_session_that_the_authority_ended_is_over_at_the_next_refresh() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.authority.end_all();
    let answers = join_all((0..10).map(|_| world.send(get("/cars").cookie(&cookie)))).await;
    for answer in answers {
        assert_eq!(answer.expect_problem(401, "token-revoked").session_cookie().as_deref(), Some(""));
    }
    assert_eq!(world.authority.count("refresh"), 1, "those who waited share the answer");
}

#[tokio::test]
async fn nobody_is_logged_out_because_nobody_can_tell() {
    let mut world = World::start().await;
    let cookie = world.sign_in().await;
    world.check.says(None);
    let answer = world.send(get("/elite").cookie(&cookie)).await.expect_problem(503, "cannot-tell");
    assert_ne!(answer.header("retry-after"), "");
    assert_eq!(answer.session_cookie(), None);
    world.check.says(good(&[]));
    world.send(get("/elite").cookie(&cookie)).await.expect(200);
    world.authority.answers_instead(500, json!({}));
    let answer = world.send(get("/cars").cookie(&cookie)).await.expect_problem(503, "authority-unavailable");
    assert_eq!((answer.session_cookie(), answer.header("retry-after").as_str()), (None, "7"));
    world.authority_server.stop().await;
    let navigation = get("/cars").header("Sec-Fetch-Mode", "navigate").cookie(&cookie);
    let answer = world.send(navigation).await.expect_problem(503, "authority-unavailable");
    assert_eq!(answer.session_cookie(), None);
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_service_that_hears_of_a_change_first_gets_the_request_again_with_a_fresh_token() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.service.says_stale(1);
    let answer = world.send(get("/cars/1").cookie(&cookie)).await.expect(200);
    assert!(answer.session_cookie().is_some());
    let seen = world.service.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].token(), seen[1].token());
    let empty = post("/cars/2").header("Sec-Fetch-Site", "same-origin").cookie(&cookie);
    world.service.says_stale(1);
    world.send(empty).await.expect(200);
    assert_eq!(world.service.seen().len(), 4, "a request without a body can be sent again, whatever its method");
}

#[tokio::test]
async fn but_only_once() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    world.service.says_stale(9);
    let answer = world.send(get("/cars/1").cookie(&cookie)).await.expect(401);
    assert_eq!(answer.header("propusk-verdict"), "stale");
    assert_eq!((world.service.seen().len(), world.authority.count("refresh")), (2, 2));
}

#[tokio::test]
async fn a_body_is_never_sent_twice_but_the_next_request_has_a_fresh_token() {
    let world = World::start().await;
    let cookie = world.sign_in().await;
    let with_body = || post("/cars/1").header("Sec-Fetch-Site", "same-origin").cookie(&cookie).body(b"x");
    world.service.says_stale(1);
    let answer = world.send(with_body()).await.expect(401);
    assert_eq!(answer.header("propusk-verdict"), "stale");
    let first = world.service.last().token();
    assert_eq!(world.service.seen().len(), 1);
    world.send(with_body()).await.expect(200);
    assert_ne!(world.service.last().token(), first);
}

/// An answer of a service that goes on for as long as the request does.
async fn mirror(world: &World, credential: (&str, &str)) -> Client {
    let mut client = Client::connect(world.gateway).await;
    let head =
        "POST /elite/mirror HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n";
    client.write(format!("{head}{}: {}\r\n\r\n3\r\none\r\n", credential.0, credential.1).as_bytes()).await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await, b"one");
    client
}

#[tokio::test]
async fn an_answer_that_lasts_ends_with_the_right_to_it() {
    let world = World::with(|config| config.max_staleness = Duration::from_millis(50)).await;
    let cookie = format!("__Host-Http-propusk={}", world.sign_in().await);
    let bearer = format!("Bearer {}", world.token("elite"));
    let mut by_cookie = mirror(&world, ("Cookie", &cookie)).await;
    let mut by_bearer = mirror(&world, ("Authorization", &bearer)).await;
    // A stale token is replaced and the session's answer goes on; nobody can replace the bearer's.
    let before = world.authority.count("refresh");
    world.check.everything_is_stale(&world.authority.mint);
    assert!(by_bearer.is_closed().await);
    world.until("a fresh token", |world| world.authority.count("refresh") > before).await;
    by_cookie.write(b"3\r\ntwo\r\n").await;
    assert_eq!(by_cookie.chunk().await, b"two");
    world.check.says(Some(CheckVerdict::Refused));
    assert!(by_cookie.is_closed().await, "it broke off, without an end that would look whole");
}

#[tokio::test]
async fn a_bearer_token_is_its_owner_s_to_refresh() {
    let world = World::start().await;
    world.service.says_stale(1);
    let answer = world.send(get("/cars").bearer(&world.token("cars"))).await.expect(401);
    assert_eq!(answer.header("propusk-verdict"), "stale");
    assert_eq!((world.service.seen().len(), world.authority.count("refresh")), (1, 0));
}

#[tokio::test]
async fn a_refresh_goes_on_when_the_one_who_caused_it_is_gone() {
    let world = Arc::new(World::start().await);
    let cookie = world.sign_in().await;
    for _ in 0..5 {
        let mut client = crate::http::Client::connect(world.gateway).await;
        client.send(&get("/cars").cookie(&cookie)).await;
        drop(client);
    }
    world.send(get("/cars").cookie(&cookie)).await.expect(200);
    assert_eq!(world.authority.count("rotation"), 1);
}
