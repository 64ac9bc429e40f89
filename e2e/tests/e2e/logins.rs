//! Names to sign in with: one person each, whatever the case or the composition, and no look-alikes. Addresses tell nobody
//! who has an account.

use std::time::{Duration, Instant};

use e2e::http::Answer;
use e2e::people::{PASSWORD, Tokens};
use e2e::system::{Options, System};
use e2e::{alone, run};
use serde_json::json;

use crate::shared::PLAIN;

/// Different in each run, of digits alone: they go with letters of every script.
fn number() -> String {
    e2e::unique("").replace('-', "")
}

async fn expect_refused(system: &System, username: &str) {
    let answer = system.try_register(username, PASSWORD).await.expect_problem(422, "invalid-field");
    assert_eq!(answer.json()["errors"][0]["pointer"], "/username", "{username:?}\n{answer}");
}

#[test]
fn every_spelling_of_a_name_is_the_same_person() {
    run(async {
        let system = &*PLAIN;
        let n = number();
        let cases: [(&str, &[&str]); 5] = [
            ("alice", &["Alice", "ALICE", "ａｌｉｃｅ"]),
            ("zoë", &["ZOË", "zoe\u{308}", "ZOE\u{308}"]),
            ("иван", &["Иван", "ИВАН"]),
            ("straße", &["STRA\u{1e9e}E", "Straße"]),
            ("ilker", &["ILKER"]),
        ];
        for (stored, spellings) in cases {
            let registered = system.try_register(&format!("{}{n}", spellings[0]), PASSWORD).await.expect(201);
            assert_eq!(registered.field("username"), format!("{stored}{n}"), "the stored form is answered");
            for spelling in spellings.iter().chain([&stored]) {
                let spelling = format!("{spelling}{n}");
                system.try_register(&spelling, PASSWORD).await.expect_problem(409, "username-taken");
                let tokens = Tokens::of(system.try_login(&spelling, PASSWORD, None).await);
                let me = system.http.get(&system.authority("/auth/me")).bearer(&tokens.access).send().await.expect(200);
                assert_eq!((me.field("id"), me.field("username")), (registered.field("id"), format!("{stored}{n}")));
            }
        }
        // Nothing is guessed beyond that: these are others.
        for other in ["strasse", "ılker", "İlker", "zoe"] {
            system.try_register(&format!("{other}{n}"), PASSWORD).await.expect(201);
        }
    });
}

#[test]
fn look_alikes_and_what_is_no_name_are_refused() {
    run(async {
        let system = &*PLAIN;
        for name in [
            // Letters of two scripts: Cyrillic, Greek, Cherokee among Latin ones.
            "\u{430}lice",
            "al\u{3b9}ce",
            "\u{13aa}arl",
            "пaвел",
            // Spaces, controls, joiners, what changes direction, symbols.
            "",
            " alice",
            "a b",
            "a\u{a0}b",
            "a\nb",
            "a\u{200d}b",
            "a\u{202e}b",
            "a\u{ad}b",
            "alice☺",
            "ﬁne",
        ] {
            expect_refused(system, name).await;
        }
    });
}

#[test]
fn the_length_of_a_name_counts_code_points_as_they_are_stored() {
    run(async {
        let system = &*PLAIN;
        let n = number();
        for letter in ["a", "ж", "\u{10428}", "e\u{302}\u{301}"] {
            let room = 64 - n.len();
            let name = |letters: usize| format!("{}{n}", letter.repeat(letters));
            let longest = system.try_register(&name(room), PASSWORD).await.expect(201);
            assert_eq!(longest.field("username").chars().count(), 64);
            expect_refused(system, &name(room + 1)).await;
        }
        expect_refused(system, &"İ".repeat(33)).await;
        expect_refused(system, &"a".repeat(10_000)).await;
    });
}

async fn register(system: &System, username: &str, email: &str) -> (Answer, Duration) {
    let body = json!({"username": username, "password": PASSWORD, "email": email});
    let request = system.http.post(&system.authority("/auth/register")).json(&body);
    let begun = Instant::now();
    let answer = request.send().await;
    (answer.expect(201), begun.elapsed())
}

/// All that is told, but for what differs between any two people.
fn told(answer: &Answer) -> (u16, Vec<String>, serde_json::Value) {
    let mut json = answer.json();
    for own in ["id", "username"] {
        json[own] = "…".into();
    }
    json["email"] = json!(json["email"].is_string());
    (answer.status, answer.headers.keys().map(ToString::to_string).collect(), json)
}

#[test]
fn an_address_that_is_known_is_answered_like_any_other() {
    alone(async {
        let system = System::start(&Options::new());
        let known = "known.to.us@mail.example";
        let (first, _) = register(&system, "the-first-of-them", known).await;
        let (mut with_known, mut with_new) = (Vec::new(), Vec::new());
        // More pairs for a busy machine: a real difference survives that, noise does not.
        for round in 0..5 {
            for pair in 0..60 {
                let n = round * 60 + pair;
                let (known_name, new_name) = (format!("pair-{n:04}-a"), format!("pair-{n:04}-b"));
                let new = format!("new-{n:03}.to.us@mail.example");
                let known_first = pair % 2 == 0;
                let before = if known_first { Some(register(&system, &known_name, known).await) } else { None };
                let (answer, time) = register(&system, &new_name, &new).await;
                with_new.push(time);
                let (same, time) = match before {
                    Some(before) => before,
                    None => register(&system, &known_name, "Known.To.Us@MAIL.example".to_lowercase().as_str()).await,
                };
                with_known.push(time);
                assert_eq!(told(&same), told(&answer));
                assert_eq!(told(&same), told(&first));
            }
            let (known, new) = (median(&mut with_known), median(&mut with_new));
            let ratio = known.as_secs_f64() / new.as_secs_f64();
            eprintln!("{} pairs, medians: known address {known:?}, new one {new:?}, ratio {ratio:.3}", with_new.len());
            if (0.9..=1.1).contains(&ratio) {
                return;
            }
        }
        panic!("the times differ");
    });
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
