//! Minting in a race with revoking. Whatever is minted by whatever grant, before or while a revocation runs, is accepted
//! by no verifier once the revocation was answered with `enforced`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::http::Answer;
use e2e::people::{PASSWORD, Tokens};
use e2e::run;
use e2e::system::{Options, System};
use futures_util::future::join_all;
use serde_json::json;

use super::wait_until_live;

/// Rounds of all kinds together; `PROPUSK_RACE_ROUNDS` asks for more or fewer.
const ROUNDS: usize = 1_000;
/// How many rounds run beside each other.
const BESIDE: usize = 8;

fn rounds() -> usize {
    std::env::var("PROPUSK_RACE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// A token that somebody got out of the race, and where it would be accepted.
struct Prize {
    service: &'static str,
    token: String,
    how: &'static str,
}

/// Counts of what the races were about, so that a race that never happened is seen.
#[derive(Default)]
struct Score {
    minted: AtomicUsize,
    refused_to_mint: AtomicUsize,
}

impl Score {
    /// The token of an answer, if the race was won.
    fn prize(&self, answer: Answer, service: &'static str, how: &'static str) -> Option<Prize> {
        if answer.status == 200 {
            self.minted.fetch_add(1, Ordering::Relaxed);
            return Some(Prize { service, token: answer.field("access_token"), how });
        }
        assert!(matches!(answer.status, 400 | 401), "\n{answer}");
        self.refused_to_mint.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[test]
fn no_token_out_of_a_race_is_accepted_after_enforced() {
    run(async {
        // Disabled people who sign in fail hundreds of times, all from one address.
        let system = System::start(&Options::new().split().set("throttle.enabled", "false"));
        wait_until_live(&system).await;
        let admin = Admin::new(&system).await;
        let (score, next, total) = (Score::default(), AtomicUsize::new(0), rounds());
        let begun = Instant::now();
        let runner = async || {
            loop {
                let round = next.fetch_add(1, Ordering::Relaxed);
                if round >= total {
                    return;
                }
                match round % 4 {
                    0 => session_ended(&system, &admin, &score, round).await,
                    1 => logged_out(&system, &score).await,
                    2 => person_disabled(&system, &admin, &score).await,
                    _ => role_taken(&system, &admin, &score).await,
                }
            }
        };
        join_all((0..BESIDE).map(|_| runner())).await;
        let (minted, refused) = (score.minted.into_inner(), score.refused_to_mint.into_inner());
        eprintln!("{total} rounds in {:?}: {minted} tokens minted, {refused} refused", begun.elapsed());
        assert!(minted > 0 && refused > 0, "the races were no races: {minted} minted, {refused} refused");
        // Nobody was cut off on the way, which would have made it easy.
        wait_until_live(&system).await;
    });
}

/// The administrator, whose token is used for many calls.
struct Admin {
    token: tokio::sync::Mutex<(String, Instant)>,
}

impl Admin {
    async fn new(system: &System) -> Self {
        Self { token: tokio::sync::Mutex::new((system.admin_token("propusk").await, Instant::now())) }
    }

    async fn call(&self, system: &System, method: &str, path: &str) {
        let token = {
            let mut held = self.token.lock().await;
            if held.1.elapsed() > Duration::from_secs(240) {
                *held = (system.admin_token("propusk").await, Instant::now());
            }
            held.0.clone()
        };
        let request = system.http.request(method, &system.authority(&format!("/admin/v1{path}")));
        request.bearer(&token).send().await.expect_enforced();
    }
}

/// Refreshes and exchanges in the name of a session against its end by an administrator.
async fn session_ended(system: &System, admin: &Admin, score: &Score, round: usize) {
    let person = system.register("race").await;
    let tokens = system.login(&person, "cars").await;
    let path = if round.is_multiple_of(8) {
        format!("/sessions/{}", tokens.sid())
    } else {
        format!("/users/{}/sessions", person.id)
    };
    let ((), prizes) = tokio::join!(admin.call(system, "DELETE", &path), mint(system, &tokens, score));
    assert_refused(system, prizes).await;
    // Nor can anything be minted afterwards.
    assert_refused(system, mint(system, &tokens, score).await).await;
}

/// The same against a logout.
async fn logged_out(system: &System, score: &Score) {
    let person = system.register("race").await;
    let tokens = system.login(&person, "cars").await;
    let body = json!({"refresh_token": tokens.refresh});
    let logout = system.http.post(&system.authority("/auth/logout")).json(&body);
    let (answer, prizes) = tokio::join!(logout.send(), mint(system, &tokens, score));
    let answer = answer.expect(204);
    // A refresh may have rotated the token first: then it was an honest replay of a used one, and ended the same session.
    answer.expect_enforced_header();
    assert_refused(system, prizes).await;
}

/// Sign-ins and password grants against the person being disabled.
async fn person_disabled(system: &System, admin: &Admin, score: &Score) {
    let person = system.register("race").await;
    let path = format!("/users/{}/disable", person.id);
    let sign_in = async || {
        let answer = system.try_login(&person.username, PASSWORD, Some("cars")).await;
        score.prize(answer, "cars", "sign-in")
    };
    let grant = async || {
        let fields = [
            ("grant_type", "password"),
            ("username", person.username.as_str()),
            ("password", PASSWORD),
            ("audience", "posts"),
        ];
        score.prize(system.token("demo-first-party", &fields).await, "posts", "password grant")
    };
    let ((), one, two, three, four) =
        tokio::join!(admin.call(system, "POST", &path), sign_in(), grant(), sign_in(), grant());
    assert_refused(system, [one, two, three, four].into_iter().flatten().collect()).await;
    assert!(sign_in().await.is_none() && grant().await.is_none(), "a disabled person got a token");
}

/// Refreshes and sign-ins against a role being taken away: whatever is accepted afterwards has not got it.
async fn role_taken(system: &System, admin: &Admin, score: &Score) {
    let person = system.register("race").await;
    let path = format!("/users/{}/roles/cars/buyer", person.id);
    admin.call(system, "PUT", &path).await;
    let tokens = system.login(&person, "cars").await;
    let again = async || {
        let answer = system.try_login(&person.username, PASSWORD, Some("cars")).await;
        score.prize(answer, "cars", "sign-in")
    };
    let ((), mut prizes, extra) =
        tokio::join!(admin.call(system, "DELETE", &path), mint(system, &tokens, score), again());
    prizes.extend(extra);
    prizes.push(Prize { service: "cars", token: tokens.access, how: "before" });
    for prize in prizes.iter().filter(|prize| prize.service == "cars") {
        let answer = system.elite("cars", &prize.token).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["roles"], json!([]), "{}\n{answer}", prize.how);
        } else {
            assert_eq!(answer.header("propusk-verdict"), "stale", "{}\n{answer}", prize.how);
        }
    }
}

/// Two refreshes, for two audiences, and an exchange of the access token, all at once.
async fn mint(system: &System, tokens: &Tokens, score: &Score) -> Vec<Prize> {
    let (for_cars, for_posts, exchanged) = tokio::join!(
        system.refresh(&tokens.refresh, Some("cars")),
        system.refresh(&tokens.refresh, Some("posts")),
        system.exchange("cars", &tokens.access, "users"),
    );
    let prizes = [
        score.prize(for_cars, "cars", "refresh"),
        score.prize(for_posts, "posts", "refresh for another audience"),
        score.prize(exchanged, "users", "exchange"),
    ];
    prizes.into_iter().flatten().collect()
}

/// Every prize is refused by the service that it was for.
async fn assert_refused(system: &System, prizes: Vec<Prize>) {
    for prize in prizes {
        let answer = system.elite(prize.service, &prize.token).await;
        assert!(answer.status == 401, "a token by {} is accepted after `enforced`\n{answer}", prize.how);
    }
}
