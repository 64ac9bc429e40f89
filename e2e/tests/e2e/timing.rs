//! Who has an account cannot be told: not from what a sign-in answers, not from how long it takes.

use std::time::{Duration, Instant};

use e2e::alone;
use e2e::http::Answer;
use e2e::run;
use e2e::system::{Options, System};
use serde_json::json;

use crate::shared::PLAIN;

const PAIRS: usize = 200;
const MOST_ROUNDS: usize = 5;
const WRONG: &str = "a wrong password of sufficient length";

async fn timed(system: &System, username: &str) -> (Answer, Duration) {
    let body = json!({"username": username, "password": WRONG});
    let request = system.http.post(&system.authority("/auth/login")).json(&body);
    let begun = Instant::now();
    let answer = request.send().await;
    (answer, begun.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Status, body and names of headers: all that is told beside the time.
fn told(answer: &Answer) -> (u16, String, Vec<String>) {
    let names = answer.headers.keys().map(ToString::to_string).collect();
    (answer.status, answer.text(), names)
}

#[test]
fn a_wrong_password_and_an_unknown_person_take_the_same_time() {
    alone(async {
        // What a default installation does, but for the throttle, which is meant to be felt.
        let system = System::start(&Options::new().real_hashing().set("throttle.enabled", "false"));
        let person = system.register("timed").await;
        for _ in 0..10 {
            timed(&system, &person.username).await;
            timed(&system, "warm-up").await;
        }
        let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
        // A machine that is busy with something else scatters the medians: then more pairs are added to the same pool,
        // which a real difference survives and noise does not.
        for _ in 0..MOST_ROUNDS {
            for pair in 0..PAIRS {
                ask_both(&system, &person.username, pair, &mut wrong, &mut unknown).await;
            }
            let ratio = median(&mut wrong).as_secs_f64() / median(&mut unknown).as_secs_f64();
            eprintln!(
                "{} pairs, medians: wrong password {:?}, unknown person {:?}, ratio {ratio:.4}",
                wrong.len(),
                median(&mut wrong),
                median(&mut unknown)
            );
            if (0.95..=1.05).contains(&ratio) {
                return;
            }
        }
        panic!("wrong password {:?} against unknown person {:?}", median(&mut wrong), median(&mut unknown));
    });
}

/// One pair, in turns with the other first; what is told is the same.
async fn ask_both(system: &System, known: &str, pair: usize, wrong: &mut Vec<Duration>, unknown: &mut Vec<Duration>) {
    // Of the same length, a new one each time.
    let nobody = format!("nobody-{pair:0width$}", width = known.len() - "nobody-".len());
    let mut ask = [(known, wrong), (&nobody, unknown)];
    if pair % 2 == 1 {
        ask.reverse();
    }
    let mut answers = Vec::new();
    for (username, times) in ask {
        let (answer, time) = timed(system, username).await;
        times.push(time);
        answers.push(answer.expect_problem(401, "invalid-credentials"));
    }
    assert_eq!(told(&answers[0]), told(&answers[1]));
}

#[test]
fn every_sign_in_that_fails_answers_the_same() {
    run(async {
        let system = &*PLAIN;
        let (person, disabled) = (system.register("known").await, system.register("locked").await);
        system.admin("POST", &format!("/users/{}/disable", disabled.id)).await.expect_enforced();
        let names =
            [person.username.as_str(), "nobody-of-this-name", disabled.username.as_str(), "admin", "\u{202e}", ""];
        let mut all = Vec::new();
        for name in names {
            all.push(told(&timed(system, name).await.0));
        }
        assert!(all.iter().all(|answer| *answer == all[0]), "{all:#?}");

        let mut all = Vec::new();
        for name in &names[..4] {
            let fields = [("grant_type", "password"), ("username", *name), ("password", WRONG), ("audience", "cars")];
            let answer = system.token("demo-first-party", &fields).await.expect_oauth_error(400, "invalid_grant");
            all.push(told(&answer));
        }
        assert!(all.iter().all(|answer| *answer == all[0]), "{all:#?}");

        let mut all = Vec::new();
        for name in &names[..4] {
            let body = json!({"username": name, "password": WRONG});
            let request = system.http.post(&system.gateway("/login")).header("propusk-csrf", "1").json(&body);
            all.push(told(&request.send().await.expect_problem(401, "invalid-credentials")));
        }
        assert!(all.iter().all(|answer| *answer == all[0]), "{all:#?}");
    });
}

#[test]
fn a_name_that_is_taken_is_told_and_an_address_that_is_known_is_not() {
    run(async {
        let system = &*PLAIN;
        let email = format!("{}@example.com", e2e::unique("mail"));
        let register = |username: String| {
            let body = json!({"username": username, "password": e2e::people::PASSWORD, "email": email});
            system.http.post(&system.authority("/auth/register")).json(&body).send()
        };
        let first = e2e::unique("first");
        register(first.clone()).await.expect(201);
        register(e2e::unique("second")).await.expect(201);
        // The stored form is what is compared.
        register(first.to_uppercase()).await.expect_problem(409, "username-taken");
    });
}
