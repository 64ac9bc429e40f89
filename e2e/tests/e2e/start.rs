//! Starting, stopping, starting again; and errors that name what to do.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use e2e::browser::Browser;
use e2e::people::{PASSWORD, Person, Tokens};
use e2e::process::{Log, Process, is_gone};
use e2e::run;
use e2e::system::{Options, START_LIMIT, System, product};
use nix::sys::signal::Signal;
use serde_json::Value;

const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Names of the members of a JSON object.
fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().map(String::as_str).collect()
}

#[test]
fn the_ready_line_has_its_exact_form() {
    run(async {
        let system = System::start(&Options::new());
        let line = &system.ready_json;
        let wanted =
            ["contract", "issuer", "authority", "gateway", "feed", "data", "services", "admin", "users", "clients"];
        assert_eq!(members(line), wanted.into_iter().chain(["processes"]).collect());
        assert_eq!(line["contract"], 1);
        for name in ["issuer", "authority", "gateway", "feed"] {
            let url = line[name].as_str().unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(url.starts_with("http://127.0.0.1:"), "{name}: {url}");
        }
        assert_eq!(members(&line["services"]), BTreeSet::from(["users", "posts", "cars"]));
        assert_eq!(members(&line["admin"]), BTreeSet::from(["username", "password"]));
        assert_eq!(line["admin"]["username"], "admin");
        let users = line["users"].as_array().unwrap();
        let names: Vec<&str> = users.iter().map(|user| user["username"].as_str().unwrap()).collect();
        assert_eq!(names, ["alice", "bob"]);
        for user in users {
            assert_eq!(members(user), BTreeSet::from(["username", "id", "password"]));
            assert!(user["id"].as_str().unwrap().starts_with("u_"), "{user}");
        }
        let clients = line["clients"].as_array().unwrap();
        let ids: Vec<&str> = clients.iter().map(|client| client["client_id"].as_str().unwrap()).collect();
        let six = ["gateway", "users", "posts", "cars", "demo-m2m", "demo-first-party"];
        assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(six));
        assert_eq!(ids.len(), six.len());
        for client in clients {
            assert_eq!(members(client), BTreeSet::from(["client_id", "client_secret"]));
            assert!(client["client_secret"].as_str().unwrap().starts_with("psk_"), "{}", client["client_id"]);
        }
        let parts = ["authority", "gateway", "users", "posts", "cars"];
        assert_eq!(members(&line["processes"]), BTreeSet::from(parts));
        for part in parts {
            assert_eq!(members(&line["processes"][part]), BTreeSet::from(["pid", "argv"]));
            assert_eq!(line["processes"][part]["pid"], system.main_pid(), "without --split all are one process");
        }
        assert!(system.ready.data.is_absolute());
        // It is all of standard output.
        let data = system.ready.data.clone();
        assert_eq!(system.stop(Signal::SIGTERM, STOP_LIMIT).code(), Some(0));
        assert_eq!(system.stdout_rest(), "");
        assert!(!data.exists(), "temporary data is gone: {}", data.display());
    });
}

#[test]
fn split_every_part_is_a_process_that_its_command_line_starts_again() {
    run(async {
        let system = System::start(&Options::new().split());
        let mut pids: BTreeSet<u32> = system.ready.processes.values().map(|part| part.pid).collect();
        pids.insert(system.main_pid());
        assert_eq!(pids.len(), 6, "each part is a process of its own");
        let person = system.register("split").await;
        for part in ["authority", "gateway", "users", "posts", "cars"] {
            system.kill(part);
            system.restart(part);
            system.wait_ready(part).await;
        }
        // The same addresses, the same data.
        let token = system.login(&person, "cars").await.access;
        e2e::eventually_async("the restarted parts work together", START_LIMIT, || async {
            let answer = system.http.get(&system.gateway("/cars/-/whoami/elite")).bearer(&token).send().await;
            (answer.status == 200).then_some(())
        })
        .await;
        Browser::sign_in(&system, &person).await.get("/users/me").await.expect(200);
    });
}

#[test]
fn it_ends_on_a_signal_with_everything_it_started() {
    run(async {
        for (split, signal) in
            [(false, Signal::SIGTERM), (false, Signal::SIGINT), (true, Signal::SIGTERM), (true, Signal::SIGINT)]
        {
            let options = if split { Options::new().split() } else { Options::new() };
            let system = System::start(&options);
            // Connections that are open and say nothing hold nobody up.
            let idle = tokio::net::TcpStream::connect(e2e::raw::address_of(&system.ready.gateway)).await.unwrap();
            system.http.get(&system.authority("/-/live")).send().await.expect(200);
            let status = system.stop(signal, STOP_LIMIT);
            assert_eq!(status.code(), Some(0), "{signal}, split: {split}\n{}", system.log.text());
            for (name, part) in &system.ready.processes {
                assert!(is_gone(part.pid), "{name} is still there after {signal}");
            }
            drop(idle);
        }
    });
}

#[test]
fn a_frozen_part_does_not_hold_up_the_end() {
    run(async {
        let system = System::start(&Options::new().split());
        let frozen = system.freeze("posts");
        assert_eq!(system.stop(Signal::SIGTERM, STOP_LIMIT).code(), Some(0));
        assert!(is_gone(system.pid("posts")));
        drop(frozen);
    });
}

#[test]
fn a_second_start_finds_everything_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path());
        let first = System::start(&options);
        let admin = first.ready.admin.password.clone().expect("printed at the first start");
        let alice = first.demo("alice");
        let person = first.register("again").await;
        let tokens = first.login(&person, "cars").await;
        let secret = first.secret("demo-m2m");
        let browser = Browser::sign_in(&first, &person).await;
        let cookie = browser.cookie();
        let posts = first.login(&person, "posts").await.access;
        let post = first.http.post(&first.service("posts", "/posts")).bearer(&posts);
        let post = post.json(&serde_json::json!({"content": "kept"})).send().await.expect(201).field("post_id");
        let mode = std::fs::metadata(folder.path().join("kek")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the key-encryption key is its owner's alone");
        assert_eq!(first.stop(Signal::SIGTERM, STOP_LIMIT).code(), Some(0));
        let before = first.ready.clone();
        drop(first);

        let second = System::start(&options);
        assert!(second.ready.admin.password.is_none(), "printed once");
        assert!(second.ready.users.iter().all(|user| user.password.is_none()));
        assert!(second.ready.clients.iter().all(|client| client.client_secret.is_none()));
        assert_eq!(second.ready.issuer, before.issuer);
        assert_eq!(second.ready.users[0].id, before.users[0].id);
        Tokens::of(second.try_login("admin", &admin, None).await);
        Tokens::of(second.try_login("alice", &alice.password, None).await);
        Tokens::of(second.try_login(&person.username, PASSWORD, None).await);
        // Tokens, sessions, keys and cookies go on.
        let elite = second.elite("cars", &tokens.access).await.expect(200);
        assert_eq!(elite.field("sub"), person.id);
        Tokens::of(second.refresh(&tokens.refresh, None).await);
        let browser = Browser::new(&second);
        browser.set_cookie(&cookie);
        assert_eq!(browser.get("/session").await.expect(200).field("user_id"), person.id);
        let listed = browser.get("/posts").await.expect(200);
        assert!(listed.text().contains(&post), "\n{listed}");
        let fields = [("grant_type", "client_credentials"), ("audience", "cars")];
        let token = second.http.post(&second.authority("/oauth/token")).basic("demo-m2m", &secret).form(&fields);
        Tokens::of(token.send().await);
    });
}

/// `up` with these arguments, which must end by itself: status and what it wrote to standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let log = Log::default();
    let mut command = product();
    command.args(["up", "--json"]).args(arguments);
    let (status, stdout) = Process::start(&mut command, &log).finish(START_LIMIT);
    assert_eq!(stdout, "", "nothing on standard output:\n{}", log.text());
    (status.code(), log.text())
}

/// The same on a data directory, on free ports.
fn refused_on(data: &str) -> (Option<i32>, String) {
    let ports = ["--set", "listen.authority=127.0.0.1:0", "--set", "listen.gateway=127.0.0.1:0"];
    refused(&[&["--data", data], &ports[..]].concat())
}

#[track_caller]
fn assert_told(log: &str, words: &[&str]) {
    for word in words {
        assert!(log.contains(word), "{word:?} is not in:\n{log}");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_setting_that_chooses_another() {
    for key in ["listen.authority", "listen.gateway", "listen.feed", "listen.users"] {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        for split in [false, true] {
            let setting = format!("{key}={address}");
            let mut arguments = vec!["--ephemeral", "--set", &setting];
            if split {
                arguments.push("--split");
            }
            let (status, log) = refused(&arguments);
            assert_eq!(status, Some(1), "{log}");
            assert_told(&log, &[&address, key, "in use"]);
        }
    }
}

#[test]
fn a_data_directory_in_use_is_named_with_what_to_do() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().display().to_string();
        for split in [false, true] {
            let options = if split { Options::on(folder.path()).split() } else { Options::on(folder.path()) };
            let system = System::start(&options);
            let (status, log) = refused_on(&data);
            assert_eq!(status, Some(1), "{log}");
            assert_told(&log, &[&data, "in use", "--data"]);
            // The one that runs did not notice.
            system.http.get(&system.authority("/-/ready")).send().await.expect(200);
            system.register("undisturbed").await;
        }
        // Free again as soon as it ended, even if it was killed.
        let system = System::start(&Options::on(folder.path()));
        system.power_cut();
        drop(system);
        System::start(&Options::on(folder.path()));
    });
}

#[test]
fn a_data_directory_of_a_newer_version_is_left_alone() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path());
        drop(System::start(&options));
        let data = folder.path().display().to_string();

        // A newer layout of the directory.
        let format = folder.path().join("format");
        let own = std::fs::read_to_string(&format).unwrap();
        std::fs::write(&format, "9999").unwrap();
        let (status, log) = refused_on(&data);
        assert_eq!(status, Some(1), "{log}");
        assert_told(&log, &["newer", &data, "--data"]);
        std::fs::write(&format, own).unwrap();

        // A newer schema of the database.
        let path = folder.path().join("authority.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        let future = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                      VALUES (9999, 'from_the_future', '2099-01-01T00:00:00Z', '0')";
        assert_eq!(database.execute(future, []).unwrap(), 1);
        drop(database);
        let before = std::fs::read(&path).unwrap();
        let (status, log) = refused_on(&data);
        assert_eq!(status, Some(1), "{log}");
        assert_told(&log, &["newer", "authority.db"]);
        assert_eq!(std::fs::read(&path).unwrap(), before, "nothing was changed");
    });
}

#[test]
fn a_key_encryption_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path());
        drop(System::start(&options));
        let kek = folder.path().join("kek");
        std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o640)).unwrap();
        let data = folder.path().display().to_string();
        let (status, log) = refused_on(&data);
        assert_eq!(status, Some(1), "{log}");
        assert_told(&log, &["chmod 600", &kek.display().to_string()]);
        std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o600)).unwrap();
        drop(System::start(&options));

        // Another key does not open what this one sealed.
        let other = e2e::forge::b64(&[7; 32]);
        std::fs::write(&kek, other).unwrap();
        let (status, log) = refused_on(&data);
        assert_eq!(status, Some(1), "{log}");
        assert_told(&log, &["key-encryption key"]);
    });
}

#[test]
fn plain_http_beyond_loopback_is_refused_unless_asked_for() {
    let (status, log) = refused(&["--ephemeral", "--set", "listen.gateway=0.0.0.0:0"]);
    assert_eq!(status, Some(2), "{log}");
    assert_told(&log, &["listen.gateway", "insecure_http"]);
}

#[test]
fn all_errors_of_the_configuration_are_told_at_once() {
    let (status, log) = refused(&[
        "--ephemeral",
        "--set",
        "no.such_key=1",
        "--set",
        "token.access_ttl=soon",
        "--set",
        "password.min_length=none",
    ]);
    assert_eq!(status, Some(2), "{log}");
    assert_told(&log, &["no.such_key", "token.access_ttl", "password.min_length"]);
    // A wait for enforcement that a lease would outlive is no wait.
    let (status, log) = refused(&["--ephemeral", "--set", "revoke.wait_limit=2s"]);
    assert_eq!(status, Some(2), "{log}");
    assert_told(&log, &["revoke.wait_limit", "feed.lease"]);
}

#[test]
fn demo_data_is_made_once_and_not_brought_back() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on(folder.path());
        let system = System::start(&options);
        let bob = system.demo("bob");
        system.role("PUT", &bob.id, "cars", "buyer").await;
        let tokens = Tokens::of(system.try_login("bob", &bob.password, Some("cars")).await);
        assert_eq!(system.elite("cars", &tokens.access).await.expect(200).json()["roles"][0], "buyer");
        let alice = system.demo("alice");
        system.role("DELETE", &alice.id, "cars", "buyer").await;
        drop(system);
        let system = System::start(&options);
        let roles = async |person: &Person| {
            let tokens = Tokens::of(system.try_login(&person.username, &person.password, Some("cars")).await);
            system.elite("cars", &tokens.access).await.expect(200).json()["roles"].clone()
        };
        assert_eq!(roles(&bob).await, serde_json::json!(["buyer"]));
        assert_eq!(roles(&alice).await, serde_json::json!([]), "a role taken away stays away");
    });
}
