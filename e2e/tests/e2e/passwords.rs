//! Passwords: which ones nobody may take, how they are compared, and hashes that change with the parameters.

use std::time::Duration;

use e2e::http::Answer;
use e2e::people::{PASSWORD, Person, Tokens};
use e2e::run;
use e2e::system::{Options, System};
use e2e::unique;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::shared::PLAIN;

#[track_caller]
fn expect_common(answer: Answer, pointer: &str) {
    let answer = answer.expect_problem(422, "invalid-field");
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
    assert_eq!(errors[0]["pointer"], pointer);
    assert!(errors[0]["detail"].as_str().unwrap().contains("commonly used"), "{errors}");
}

#[test]
fn what_everybody_tries_first_is_nobody_s_password() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("blocklist.txt");
        std::fs::write(&list, "acme anniversary\nWelcome Aboard 2026\n").unwrap();
        let options = Options::new().set("password.min_length", "8");
        let system = System::start(&options.set("password.blocklist_file", list.to_str().unwrap()));
        for common in [
            "trustno1",
            "PassWord",
            "qwertyuiop",
            "michaeljackson",
            "passwordpassword",
            "aaaaaaaaaa",
            "12341234123",
            "ACME anniversary",
            "welcome aboard 2026",
            "propuskpropusk",
        ] {
            expect_common(system.try_register(&unique("common"), common).await, "/password");
        }
        let name = unique("own-name");
        expect_common(system.try_register(&name, &name.to_uppercase()).await, "/password");
        let body = json!({"username": unique("mailed"), "password": "Some.Body@example.org", "email": "some.body@example.org"});
        expect_common(system.http.post(&system.authority("/auth/register")).json(&body).send().await, "/password");
        // No rules about what a password is made of.
        for good in ["mnbvqztw", "жнжнжзхщ", "7 0 1 8 3 3", "        x"] {
            system.try_register(&unique("plain"), good).await.expect(201);
        }
        let person = system.register("changes").await;
        let token = system.login(&person, "propusk").await.access;
        let body = json!({"current_password": PASSWORD, "new_password": "letmeinletmein"});
        let change = system.http.post(&system.authority("/auth/password")).bearer(&token).json(&body);
        expect_common(change.send().await, "/new_password");
        let set = async |password: &str| {
            system.admin_json("PUT", &format!("/users/{}/password", person.id), &json!({"password": password})).await
        };
        expect_common(set(&person.username).await, "/password");
        expect_common(set("football1").await, "/password");
        let new = json!({"username": unique("made"), "password": "starwars1"});
        expect_common(system.admin_json("POST", "/users", &new).await, "/password");
        Tokens::of(system.try_login(&person.username, PASSWORD, None).await);
    });
}

#[test]
fn with_the_defaults_a_short_word_does_not_become_good_by_repeating_it() {
    run(async {
        for common in ["passwordpassword", "123456789012345", "qwertyuiopasdfghjkl", "Password12345678"] {
            expect_common(PLAIN.try_register(&unique("longer"), common).await, "/password");
        }
        PLAIN.try_register(&unique("short"), "mnbvqztw").await.expect_problem(422, "invalid-field");
    });
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("blocklist.txt");
    std::fs::write(&list, b"one\n\xff\n").unwrap();
    for (path, told) in [(list.to_str().unwrap(), "line 2"), ("/nonexistent/list", "/nonexistent/list")] {
        let log = System::try_start(&Options::new().set("password.blocklist_file", path)).err().expect("no start");
        assert!(log.contains("password.blocklist_file") && log.contains(told), "{log}");
    }
}

#[test]
fn one_password_has_one_form() {
    run(async {
        let username = unique("nfkc");
        let typed = "ﬁve A\u{30a}ngstro\u{308}ms of ②";
        PLAIN.try_register(&username, typed).await.expect(201);
        for same in [typed, "five \u{c5}ngstr\u{f6}ms of 2"] {
            Tokens::of(PLAIN.try_login(&username, same, None).await);
        }
        for other in ["five Angstroms of 2", "five \u{e5}ngstr\u{f6}ms of 2", ""] {
            PLAIN.try_login(&username, other, None).await.expect_problem(401, "invalid-credentials");
        }
    });
}

async fn stored_hash(system: &System, admin: &Person, username: &str) -> String {
    let token = system.login(admin, "propusk").await.access;
    let all = system.http.get(&system.authority("/admin/v1/users/export?limit=200")).bearer(&token).send().await;
    let people: Value = all.expect(200).json()["items"].clone();
    let person = people.as_array().unwrap().iter().find(|person| person["username"] == username).unwrap().clone();
    person["password_hash"].as_str().unwrap().to_owned()
}

#[test]
fn other_parameters_reach_a_hash_at_the_next_sign_in() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path()).real_hashing();
        let before = System::start(&options.clone().set("argon2.m_kib", "8").set("argon2.t", "1"));
        let account = before.ready.admin.clone();
        let admin = Person {
            id: String::new(),
            username: account.username,
            password: account.password.expect("the first start"),
        };
        let (person, other) = (before.register("rehashed").await, before.register("away").await);
        let session = before.login(&person, "propusk").await;
        assert!(stored_hash(&before, &admin, &person.username).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        before.stop(Signal::SIGTERM, Duration::from_secs(10));
        drop(before);

        let after = System::start(&options.set("argon2.m_kib", "16").set("argon2.t", "2"));
        after.try_login(&person.username, "a wrong password of some length", None).await.expect(401);
        assert!(stored_hash(&after, &admin, &person.username).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        // Ten at once: one of them stores the new hash, and nobody is turned away.
        let sign_ins = (0..10).map(|_| after.try_login(&person.username, PASSWORD, None));
        for answer in futures_util::future::join_all(sign_ins).await {
            Tokens::of(answer);
        }
        let renewed = stored_hash(&after, &admin, &person.username).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=16,t=2,p=1$"), "{renewed}");
        Tokens::of(after.try_login(&person.username, PASSWORD, None).await);
        assert_eq!(stored_hash(&after, &admin, &person.username).await, renewed, "once");
        assert!(stored_hash(&after, &admin, &other.username).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        // It is no changed password: sessions go on.
        Tokens::of(after.refresh(&session.refresh, None).await);
    });
}
