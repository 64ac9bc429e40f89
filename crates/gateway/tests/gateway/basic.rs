//! Basic at the edge: one password grant for the life of a token, and no session left behind.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use futures_util::future::join_all;
use propusk_verify::check::CheckVerdict;
use serde_json::json;

use crate::http::{Req, get, post};
use crate::world::{PASSWORD, World, good};

fn basic(request: Req, username: &str, password: &str) -> Req {
    let pair = Base64::encode_string(format!("{username}:{password}").as_bytes());
    request.header("Authorization", &format!("Basic {pair}"))
}

fn alice(target: &str) -> Req {
    basic(get(target), "alice", PASSWORD)
}

#[tokio::test]
async fn one_grant_serves_all_requests_and_audiences() {
    let world = World::start().await;
    let answers = join_all((0..30).map(|_| world.send(alice("/cars")))).await;
    for answer in answers {
        assert_eq!(answer.expect(200).session_cookie(), None, "Basic knows no cookie");
    }
    world.send(alice("/posts")).await.expect(200);
    assert_eq!((world.authority.count("password"), world.authority.count("refresh")), (1, 1));
    let token = world.service.last().token();
    assert!(!world.service.seen().iter().any(|seen| seen.token().contains(PASSWORD)) && token.contains('.'));
    let (head, form) = world.authority.last_form();
    assert_eq!((form["audience"].as_str(), head.get("x-request-id").is_some()), ("posts", true));
}

#[tokio::test]
async fn a_wrong_password_is_not_remembered() {
    let world = World::start().await;
    world.send(alice("/cars")).await.expect(200);
    for _ in 0..2 {
        let answer = world.send(basic(get("/cars"), "alice", "wrong")).await.expect_problem(401, "invalid-credentials");
        assert_eq!(
            answer.all("www-authenticate"),
            ["Bearer realm=\"cars\"", "Basic realm=\"propusk\", charset=\"UTF-8\""]
        );
        assert_eq!(answer.header("propusk-verdict"), "invalid");
    }
    assert_eq!(world.authority.count("password"), 3);
    world.send(basic(get("/cars"), "alice:correct horse", "battery")).await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.service.seen().len(), 1);
}

#[tokio::test]
async fn it_lasts_as_long_as_a_token_and_then_nothing_is_left_behind() {
    let world = World::start().await;
    world.authority.mints(600, 0);
    // Told to be over at once, so each request asks anew, and what came before has to end.
    for _ in 0..3 {
        world.send(alice("/cars")).await;
    }
    world.authority.mints(600, 600);
    world.send(alice("/cars")).await.expect(200);
    assert!(world.authority.count("password") >= 4);
    world.until("the end of the others", |world| world.authority.open_sessions() == 1).await;
}

#[tokio::test]
async fn what_does_not_fit_is_ended() {
    let world = World::with(|config| config.limits.basic = 2).await;
    for n in 0..20 {
        world.send(basic(get("/cars"), &format!("person{n}"), PASSWORD)).await.expect(200);
    }
    world.until("the end of those that were dropped", |world| world.authority.open_sessions() <= 2).await;
}

#[tokio::test]
async fn at_the_end_every_session_is_ended() {
    let mut world = World::start().await;
    for n in 0..10 {
        world.send(basic(get("/cars"), &format!("person{n}"), PASSWORD)).await.expect(200);
    }
    assert_eq!(world.authority.open_sessions(), 10);
    world.stop();
    world.stopped().await;
    assert_eq!(world.authority.open_sessions(), 0);
}

#[tokio::test]
async fn a_session_that_was_ended_begins_anew_if_the_password_is_still_right() {
    let world = World::start().await;
    world.send(alice("/cars")).await.expect(200);
    world.authority.end_all();
    world.send(alice("/posts")).await.expect(200);
    assert_eq!(world.authority.count("password"), 2);
    world.check.says(Some(CheckVerdict::Refused));
    let answer = world.send(alice("/elite")).await.expect_problem(401, "token-revoked");
    assert_eq!(answer.all("www-authenticate").len(), 2);
    assert_eq!(world.authority.count("password"), 3);
    world.check.says(good(&[]));
    world.send(alice("/elite")).await.expect(200);
}

#[tokio::test]
async fn a_stale_token_is_replaced() {
    let world = World::start().await;
    world.send(alice("/elite")).await.expect(200);
    world.check.everything_is_stale(&world.authority.mint);
    let answers = join_all((0..10).map(|_| world.send(alice("/elite")))).await;
    answers.into_iter().for_each(|answer| drop(answer.expect(200)));
    assert_eq!((world.authority.count("password"), world.authority.count("refresh")), (1, 1));
    world.service.says_stale(1);
    world.send(alice("/elite")).await.expect(200);
    assert_eq!(world.authority.count("password"), 1);
}

#[tokio::test]
async fn a_flood_of_passwords_is_bounded() {
    let world = World::with(|config| config.limits.authority_calls = 1).await;
    // The authority takes no call at all: 17 may be on their way, the next is told at once.
    world.authority.sleeps();
    let flood = (0..17).map(|n| world.send(basic(get("/cars"), &format!("person{n}"), "wrong")));
    let flood = join_all(flood);
    let one_more = async {
        world.until("the flood", |world| world.authority.count("asleep") == 1).await;
        loop {
            let answer = world.send(basic(get("/cars"), "one-more", "wrong"));
            match tokio::time::timeout(Duration::from_millis(50), answer).await {
                Ok(answer) => break answer,
                // It was among the first; there is still room.
                Err(_) => continue,
            }
        }
    };
    let answer = tokio::select! {
        _ = flood => panic!("the authority sleeps"),
        answer = one_more => answer,
    };
    let answer = answer.expect_problem(503, "busy");
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn an_authority_without_time_is_passed_on() {
    let mut world = World::start().await;
    world.authority.answers_instead(429, json!({"error": "slow_down"}));
    let answer = world.send(alice("/cars")).await.expect_problem(429, "throttled");
    assert_eq!(answer.header("retry-after"), "7");
    world.authority_server.stop().await;
    let answer = world.send(alice("/cars")).await.expect_problem(503, "authority-unavailable");
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_browser_that_remembers_the_password_is_not_fooled_by_foreign_pages() {
    let world = World::start().await;
    let by_page = |lines: &[(&str, &str)]| basic(post("/cars"), "alice", PASSWORD).headers(lines);
    world.send(by_page(&[])).await.expect(200);
    world.send(by_page(&[("Sec-Fetch-Site", "cross-site")])).await.expect_problem(403, "csrf");
    world.send(by_page(&[("Origin", "https://evil.example")])).await.expect_problem(403, "csrf");
}
