//! Rotation of refresh tokens: honest replays yield the same successor, any other replay ends the session.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use e2e::forge::claims;
use e2e::http::Refusal;
use e2e::people::{PASSWORD, Tokens};
use e2e::run;
use e2e::system::{Options, System};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// Where the grace window is short enough to wait for its end.
static SHORT: LazyLock<System> = LazyLock::new(|| System::start(&Options::new().set("refresh.grace", "1s")));
const PAST_GRACE: Duration = Duration::from_millis(1_300);

/// No refresh, and nothing elite, in the name of this session any more.
async fn assert_ended(system: &System, tokens: &Tokens) {
    system.refresh(&tokens.refresh, None).await.expect_problem(401, "invalid-refresh-token");
    let elite = system.service("cars", "/cars/-/whoami/elite");
    system.http.get(&elite).bearer(&tokens.access).send().await.expect_refusal(Refusal::Revoked);
}

#[test]
fn fifty_parallel_refreshes_are_one_rotation() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("fifty").await;
        let tokens = system.login(&person, "cars").await;
        let answers = join_all((0..50).map(|_| system.refresh(&tokens.refresh, Some("cars")))).await;
        let answers: Vec<Tokens> = answers.into_iter().map(Tokens::of).collect();
        let successors: BTreeSet<&String> = answers.iter().map(|answer| &answer.refresh).collect();
        assert_eq!(successors.len(), 1, "one successor");
        let sids: BTreeSet<String> = answers.iter().map(Tokens::sid).collect();
        assert_eq!(sids, BTreeSet::from([tokens.sid()]), "one family");
        assert_eq!(system.sessions(&person.id).await.len(), 1, "one session");
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
        // Every access token that came of it is good, and the one successor goes on.
        let elite = system.service("cars", "/cars/-/whoami/elite");
        for answer in &answers {
            system.http.get(&elite).bearer(&answer.access).send().await.expect(200);
        }
        let next = Tokens::of(system.refresh(&answers[0].refresh, None).await);
        assert_ne!(next.refresh, answers[0].refresh);
    });
}

#[test]
fn parallel_chains_of_refreshes_never_fork() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("chain").await;
        let mut current = system.login(&person, "propusk").await.refresh;
        for _ in 0..10 {
            let answers = join_all((0..8).map(|_| system.refresh(&current, None))).await;
            let next: BTreeSet<String> = answers.into_iter().map(|answer| Tokens::of(answer).refresh).collect();
            assert_eq!(next.len(), 1);
            current = next.into_iter().next().unwrap();
        }
        assert_eq!(system.sessions(&person.id).await.len(), 1);
    });
}

#[test]
fn a_lost_answer_costs_nothing() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("lost").await;
        let tokens = system.login(&person, "propusk").await;
        let first = Tokens::of(system.refresh(&tokens.refresh, Some("cars")).await);
        let again = Tokens::of(system.refresh(&tokens.refresh, Some("posts")).await);
        assert_eq!(first.refresh, again.refresh, "the same successor");
        assert_eq!(claims(&first.access)["aud"], "cars");
        assert_eq!(claims(&again.access)["aud"], "posts", "but for another audience if asked");
        assert_ne!(claims(&first.access)["jti"], claims(&again.access)["jti"]);
    });
}

#[test]
fn within_the_grace_window_it_makes_no_difference_whether_the_successor_was_used() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("used-or-not").await;
        let first = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        let third = Tokens::of(system.refresh(&second.refresh, Some("cars")).await);
        // Whoever lost the first answer goes the same way once more, and arrives where the others are.
        let again = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        assert_eq!(again.refresh, second.refresh);
        assert_eq!(Tokens::of(system.refresh(&again.refresh, Some("cars")).await).refresh, third.refresh);
        for tokens in [&first, &second, &third, &again] {
            system.elite("cars", &tokens.access).await.expect(200);
        }
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
        assert_eq!(system.sessions(&person.id).await.len(), 1);
    });
}

#[test]
fn thief_and_owner_keep_pace_until_one_of_them_is_late() {
    run(async {
        let system = &*SHORT;
        let person = system.register("race").await;
        let mut both = system.login(&person, "cars").await;
        // Within the window both get the same, whoever comes first: neither can tell.
        for _ in 0..3 {
            let thief = Tokens::of(system.refresh(&both.refresh, Some("cars")).await);
            let owner = Tokens::of(system.refresh(&both.refresh, Some("cars")).await);
            assert_eq!(thief.refresh, owner.refresh);
            both = owner;
        }
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty(), "nothing shows in that window");
        let ahead = Tokens::of(system.refresh(&both.refresh, Some("cars")).await);
        e2e::time_passes(PAST_GRACE).await;
        // The one who is late ends it for both; both see the same.
        let late = system.refresh(&both.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        let other = system.refresh(&ahead.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        assert_eq!(late.json(), other.json());
        let reuse = system.audited(&person.id, "refresh_reuse").await;
        assert_eq!(reuse.len(), 1, "{reuse:?}");
        assert_eq!(reuse[0]["outcome"], "session_ended");
        assert_eq!(reuse[0]["request_id"], late.id.as_str(), "with the request that gave it away");
        // Services are told, not only the authority.
        for service in ["ordinary", "elite"] {
            let answer = e2e::eventually_async(service, Duration::from_secs(5), || async {
                let answer = match service {
                    "elite" => system.elite("cars", &ahead.access).await,
                    _ => system.ordinary("cars", &ahead.access).await,
                };
                (answer.status != 200).then_some(answer)
            });
            answer.await.expect_refusal(Refusal::Revoked);
        }
        // The owner signs in again, and the thief is out.
        system.login(&person, "cars").await;
    });
}

#[test]
fn a_used_token_at_another_client_has_leaked_and_ends_the_family() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("leaked").await;
        let first = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        // Within the window: it is for its own client only.
        let fields = [("grant_type", "refresh_token"), ("refresh_token", first.refresh.as_str()), ("audience", "cars")];
        let refused = system.token("demo-first-party", &fields).await.expect_oauth_error(400, "invalid_grant");
        assert!(!refused.text().contains(&second.refresh), "the successor is not told\n{refused}");
        assert_eq!(system.audited(&person.id, "refresh_reuse").await.len(), 1);
        assert_ended(system, &second).await;
    });
}

/// A token names its session, which every service sees as `sid`: knowing it is worth nothing.
#[test]
fn a_made_up_token_that_names_a_session_yields_nothing_and_ends_nothing() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("named").await;
        let first = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        let (used, secret) = first.refresh.rsplit_once('.').unwrap();
        let (live, other_secret) = second.refresh.rsplit_once('.').unwrap();
        let random = "A".repeat(secret.len());
        let session = first.refresh.split('.').next().unwrap();
        for made_up in [
            format!("{used}.{random}"),
            format!("{live}.{random}"),
            format!("{live}.{secret}"),
            format!("{used}.{other_secret}"),
            format!("{live}."),
            format!("{used}0.{secret}"),
            format!("{session}.2.{secret}"),
            format!("{session}.-1.{secret}"),
            format!("prt_{secret}"),
        ] {
            system.refresh(&made_up, None).await.expect_problem(401, "invalid-refresh-token");
            let body = json!({ "refresh_token": made_up });
            system.http.post(&system.authority("/auth/logout")).json(&body).send().await.expect(204);
        }
        assert!(system.audited(&person.id, "refresh_reuse").await.is_empty());
        assert_eq!(system.sessions(&person.id).await.len(), 1);
        Tokens::of(system.refresh(&second.refresh, Some("cars")).await);
    });
}

#[test]
fn a_replay_after_the_grace_window_ends_the_family() {
    run(async {
        let system = &*SHORT;
        let person = system.register("thief").await;
        let stolen = system.login(&person, "cars").await;
        let untouched = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&stolen.refresh, Some("cars")).await);
        let third = Tokens::of(system.refresh(&second.refresh, Some("cars")).await);
        e2e::time_passes(PAST_GRACE).await;
        system.refresh(&stolen.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        for tokens in [&third, &second, &stolen] {
            assert_ended(system, tokens).await;
        }
        assert!(!system.audited(&person.id, "refresh_reuse").await.is_empty(), "in the audit log");
        // It is the family that ended, not the person.
        system.refresh(&untouched.refresh, None).await.expect(200);
        system.login(&person, "cars").await;
    });
}

/// A session may be refreshed for months: what was used long ago is not kept, and gives a thief away all the same.
#[test]
fn a_replay_of_a_token_that_is_long_forgotten_ends_the_family() {
    run(async {
        let system = &*SHORT;
        let person = system.register("forgotten").await;
        let mut latest = system.login(&person, "cars").await;
        let mut used = Vec::new();
        for round in [64, 64] {
            for _ in 0..round {
                let next = Tokens::of(system.refresh(&latest.refresh, Some("cars")).await);
                used.push(std::mem::replace(&mut latest, next));
            }
            e2e::time_passes(PAST_GRACE).await;
        }
        latest = Tokens::of(system.refresh(&latest.refresh, Some("cars")).await);
        system.refresh(&used[1].refresh, None).await.expect_problem(401, "invalid-refresh-token");
        assert_ended(system, &latest).await;
        assert_eq!(system.audited(&person.id, "refresh_reuse").await.len(), 1, "in the audit log");
    });
}

#[test]
fn a_replay_after_the_grace_window_ends_the_family_though_the_successor_was_never_used() {
    run(async {
        let system = &*SHORT;
        let person = system.register("late").await;
        let first = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        e2e::time_passes(PAST_GRACE).await;
        system.refresh(&first.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        assert_ended(system, &second).await;
    });
}

#[test]
fn a_client_that_authenticates_may_replay_while_the_successor_was_never_used() {
    run(async {
        let system = &*SHORT;
        let person = system.register("confidential").await;
        let grant = |fields: Vec<(&'static str, String)>| async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            system.token("demo-first-party", &fields).await
        };
        let refresh = |token: &str| {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("audience", "cars")];
            grant(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
        };
        let password = vec![
            ("grant_type", "password".to_owned()),
            ("username", person.username.clone()),
            ("password", PASSWORD.to_owned()),
            ("audience", "cars".to_owned()),
        ];
        let first = Tokens::of(grant(password).await);
        let second = Tokens::of(refresh(&first.refresh).await);
        e2e::time_passes(PAST_GRACE).await;
        let replayed = Tokens::of(refresh(&first.refresh).await);
        assert_eq!(replayed.refresh, second.refresh, "the answer may have been lost long ago");
        let third = Tokens::of(refresh(&second.refresh).await);
        e2e::time_passes(PAST_GRACE).await;
        refresh(&first.refresh).await.expect_oauth_error(400, "invalid_grant");
        refresh(&third.refresh).await.expect_oauth_error(400, "invalid_grant");
        let elite = system.service("cars", "/cars/-/whoami/elite");
        system.http.get(&elite).bearer(&third.access).send().await.expect_refusal(Refusal::Revoked);
    });
}

#[test]
fn somebody_else_s_refresh_token_is_refused_and_does_not_end_the_session() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("foreign").await;
        let tokens = system.login(&person, "propusk").await;
        for client in ["demo-first-party", "gateway"] {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
            system.token(client, &fields).await.expect_oauth_error(400, "invalid_grant");
        }
        let rotated = Tokens::of(system.refresh(&tokens.refresh, None).await);
        let fields = [
            ("grant_type", "password"),
            ("username", person.username.as_str()),
            ("password", PASSWORD),
            ("audience", "cars"),
        ];
        let theirs = Tokens::of(system.token("demo-first-party", &fields).await);
        system.refresh(&theirs.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", theirs.refresh.as_str()), ("audience", "cars")];
        system.token("gateway", &fields).await.expect_oauth_error(400, "invalid_grant");
        Tokens::of(system.token("demo-first-party", &fields).await);
        Tokens::of(system.refresh(&rotated.refresh, None).await);
    });
}

#[test]
fn a_refused_request_uses_nothing_up() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("careful").await;
        let tokens = system.login(&person, "propusk").await;
        system.refresh(&tokens.refresh, Some("no-such-service")).await.expect_problem(400, "invalid-target");
        let typo = json!({"refresh_token": tokens.refresh, "audiense": "cars"});
        let answer = system.http.post(&system.authority("/auth/refresh")).json(&typo).send().await.expect(400);
        assert!(answer.text().contains("audiense"), "the unknown member is named\n{answer}");
        let first = Tokens::of(system.refresh(&tokens.refresh, None).await);
        Tokens::of(system.refresh(&first.refresh, None).await);
    });
}

#[test]
fn a_session_that_nobody_refreshes_ends() {
    run(async {
        let system = System::start(&Options::new().set("session.idle_ttl", "2s").set("refresh.grace", "1s"));
        let person = system.register("idle").await;
        let tokens = system.login(&person, "cars").await;
        let kept = Tokens::of(system.refresh(&tokens.refresh, None).await);
        e2e::time_passes(Duration::from_millis(2_300)).await;
        system.refresh(&kept.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        let listed: Vec<Value> = system.sessions(&person.id).await;
        assert!(listed.is_empty(), "an ended session is not listed: {listed:?}");
    });
}

#[test]
fn the_files_of_the_authority_yield_no_token_and_no_password() {
    run(async {
        let system = System::start(&Options::new());
        let person = system.register("at-rest").await;
        let first = system.login(&person, "cars").await;
        let second = Tokens::of(system.refresh(&first.refresh, Some("cars")).await);
        let client = system.client_token("demo-m2m", "cars").await;
        let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
        let secrets = [
            ("a password", person.password.clone()),
            ("the administrator's password", system.ready.admin.password.clone().unwrap()),
            ("a used refresh token", first.refresh.clone()),
            ("its successor, kept for an honest replay", second.refresh.clone()),
            ("an access token", signature(&second.access)),
            ("a client's access token", signature(&client)),
            ("a client secret", system.secret("demo-m2m")),
            ("a private key", "PRIVATE KEY".to_owned()),
        ];
        let mut seen = 0;
        for file in std::fs::read_dir(&system.ready.data).unwrap() {
            let path = file.unwrap().path();
            if !path.is_file() || !path.file_name().unwrap().to_string_lossy().contains(".db") {
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(&path).unwrap();
            for (what, secret) in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{what} is in {}", path.display());
            }
        }
        assert!(seen >= 4, "the authority's database and three services'");
    });
}
