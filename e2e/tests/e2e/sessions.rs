//! A session's limits, what its person and an administrator see of it, and what is left of a person who is deleted.

use std::path::Path;
use std::time::{Duration, Instant};

use e2e::browser::Browser;
use e2e::forge::claims;
use e2e::http::{Answer, Refusal};
use e2e::people::{PASSWORD, Tokens};
use e2e::run;
use e2e::system::{Options, System};
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// RFC 3339 in whole seconds, as Unix seconds.
fn seconds(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_second()
}

async fn me(system: &System, access: &str) -> Value {
    system.http.get(&system.authority("/auth/me")).bearer(access).send().await.expect(200).json()
}

#[test]
fn being_used_extends_a_session_up_to_its_absolute_limit() {
    run(async {
        const IDLE: i64 = 6;
        const ABSOLUTE: i64 = 14;
        let options = Options::new().set("session.idle_ttl", "6s").set("session.absolute_ttl", "14s");
        let system = System::start(&options.set("refresh.grace", "1s"));
        let person = system.register("limits").await;
        let begun = Instant::now();
        let left = |answer: &Answer| answer.json()["refresh_expires_in"].as_i64().unwrap();
        let answer = system.try_login(&person.username, PASSWORD, None).await.expect(200);
        assert!((IDLE - 1..=IDLE).contains(&left(&answer)), "\n{answer}");
        let mut tokens = Tokens::of(answer);
        let first = me(&system, &tokens.access).await["session"].clone();
        assert_eq!(first["id"], json!(tokens.sid()));
        assert_eq!(seconds(&first["expires_at"]) - seconds(&first["created_at"]), IDLE, "{first}");
        assert_eq!(first["created_at"], first["last_used_at"]);
        for (at, most_left) in [(4, IDLE), (8, IDLE), (12, ABSOLUTE - 12)] {
            e2e::time_passes(Duration::from_secs(at).saturating_sub(begun.elapsed())).await;
            let answer = system.refresh(&tokens.refresh, None).await.expect(200);
            assert!((most_left - 2..=most_left).contains(&left(&answer)), "after {at} s\n{answer}");
            tokens = Tokens::of(answer);
            let session = me(&system, &tokens.access).await["session"].clone();
            assert_eq!((&session["id"], &session["created_at"]), (&first["id"], &first["created_at"]));
            assert!(seconds(&session["last_used_at"]) > seconds(&first["last_used_at"]), "{session}");
            let end = seconds(&first["created_at"]) + ABSOLUTE;
            let idle = seconds(&session["last_used_at"]) + IDLE;
            assert!((idle.min(end) - 1..=idle.min(end)).contains(&seconds(&session["expires_at"])), "{session}");
            // No token of it outlives the session.
            assert!(claims(&tokens.access)["exp"].as_i64().unwrap() <= end);
        }
        assert!(tokens.expires_in <= 2, "{} s", tokens.expires_in);
        e2e::time_passes(Duration::from_millis(14_300).saturating_sub(begun.elapsed())).await;
        system.refresh(&tokens.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        assert_eq!(system.sessions(&person.id).await, [Value::Null; 0], "it is over");
    });
}

#[test]
fn each_session_is_shown_with_its_device_address_and_last_use() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("devices").await;
        let body = json!({"username": person.username, "password": PASSWORD});
        let phone = system.http.post(&system.authority("/auth/login")).header("user-agent", "Ann's phone").json(&body);
        let phone = Tokens::of(phone.send().await);
        let endless = system.http.post(&system.authority("/auth/login")).header("user-agent", &"x".repeat(2_000));
        let endless = Tokens::of(endless.json(&body).send().await);
        let browser = Browser::sign_in(system, &person).await;
        browser.get("/cars/-/whoami").await.expect(200);

        let url = system.authority("/auth/sessions");
        let own = async || {
            let listed = system.http.get(&url).bearer(&phone.access).send().await.expect(200).json();
            listed["items"].as_array().unwrap().clone()
        };
        let listed = own().await;
        assert_eq!(listed, system.sessions(&person.id).await, "an administrator sees the same");
        assert_eq!(listed.len(), 3, "{listed:#?}");
        let of = |listed: &[Value], sid: &str| listed.iter().find(|session| session["id"] == sid).unwrap().clone();
        let shown = of(&listed, &phone.sid());
        assert_eq!(shown["user_agent"], "Ann's phone");
        assert_eq!((&shown["client_id"], &shown["user_id"]), (&json!("auth-api"), &json!(person.id)));
        assert_eq!(shown["user_agent"].as_str().unwrap().len(), 11);
        assert_eq!(of(&listed, &endless.sid())["user_agent"], "x".repeat(256), "cut");
        assert!(listed.iter().all(|session| session["address"] == "127.0.0.1"), "{listed:#?}");
        assert_eq!(listed.iter().filter(|session| session["client_id"] == "gateway").count(), 1, "the browser's");

        e2e::time_passes(Duration::from_millis(1_100)).await;
        system.refresh(&phone.refresh, None).await.expect(200);
        let later = of(&own().await, &phone.sid());
        assert!(seconds(&later["last_used_at"]) > seconds(&shown["last_used_at"]), "{later}");
        assert_eq!(later["created_at"], shown["created_at"]);
        let other = |listed: &[Value]| of(listed, &endless.sid())["last_used_at"].clone();
        assert_eq!(other(&own().await), other(&listed), "another session's use is its own");
    });
}

/// In which files of the authority the text is.
fn files_with(data: &Path, text: &str) -> Vec<String> {
    let names = std::fs::read_dir(data).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("authority.db"))
        .filter(|name| {
            let bytes = std::fs::read(data.join(name)).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
        .collect()
}

#[test]
fn nothing_personal_is_left_of_who_was_deleted_but_the_audit_log_and_the_id() {
    run(async {
        let system = System::start(&Options::new());
        let (username, email) = ("ephemeral.person", "where.to.write@mail.example");
        let body = json!({"username": username, "password": PASSWORD, "email": email});
        let registered = system.http.post(&system.authority("/auth/register")).json(&body).send().await.expect(201);
        let id = registered.field("id");
        let login = json!({"username": username, "password": PASSWORD, "audience": "cars"});
        let tokens = system.http.post(&system.authority("/auth/login")).header("user-agent", "A device of one's own");
        let tokens = Tokens::of(tokens.json(&login).send().await);
        system.role("PUT", &id, "cars", "buyer").await;
        let tokens = Tokens::of(system.refresh(&tokens.refresh, Some("cars")).await);
        system.elite("cars", &tokens.access).await.expect(200);
        let personal = [username, email, "A device of one's own"];
        for text in personal {
            assert_ne!(files_with(&system.ready.data, text), [""; 0], "{text}");
        }

        system.admin("DELETE", &format!("/users/{id}")).await.expect_enforced();
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
        system.refresh(&tokens.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        system.try_login(username, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        for text in personal {
            e2e::eventually(&format!("{text} is in no file"), Duration::from_secs(10), || {
                files_with(&system.ready.data, text).is_empty().then_some(())
            });
        }
        // What was done stays known, under an id that says nothing and is nobody else's.
        for action in ["user_registered", "login", "role_given", "user_deleted"] {
            assert!(!system.audited(&id, action).await.is_empty(), "{action}");
        }
        let again = system.try_register(username, PASSWORD).await.expect(201);
        assert_ne!(again.field("id"), id, "the name is free, the id is not given again");
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Revoked);
    });
}
