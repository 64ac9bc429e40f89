//! Signing in and out, credentials of the environment, and that no secret is seen.

use std::path::{Path, PathBuf};

use e2e::people::PASSWORD;
use e2e::system::System;
use e2e::{run, unique};
use serde_json::Value;

use super::{Operator, complaint, mode, printed, problem, texts};
use crate::shared::{PLAIN, SHORT_LIVED};

fn signed_in(system: &System) -> Operator {
    let operator = Operator::at(&system.ready.authority);
    let file = operator.secret_file("password", system.ready.admin.password.as_deref().unwrap());
    let report = operator.done(&["login", "--password-file", &file]);
    assert_eq!((&report["username"], &report["authority"]), (&"admin".into(), &system.ready.authority.as_str().into()));
    operator
}

/// What signing in has stored.
fn stored(operator: &Operator) -> (PathBuf, Value) {
    let path = operator.path("propusk/credentials.json");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, serde_json::from_str(&text).unwrap())
}

fn refresh_token(operator: &Operator) -> String {
    let (_, stored) = stored(operator);
    let logins = stored["authorities"].as_object().unwrap();
    logins.values().next().unwrap()["refresh_token"].as_str().unwrap().to_owned()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(walk(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn who_signs_in_stays_signed_in_until_signing_out() {
    run(async {
        let system = &*PLAIN;
        let operator = signed_in(system);
        assert!(operator.done(&["user", "list", "--username", "alice"]).to_string().contains("alice"));
        // What it keeps is for its owner's eyes.
        for kept in walk(operator.home.path()) {
            assert_eq!(mode(&kept) & 0o077, 0, "{} can be read by others", kept.display());
        }
        let refresh = refresh_token(&operator);
        let wrong = operator.secret_file("wrong", "a wrong password of some length");
        let told = complaint(&operator.command(&["login", "--password-file", &wrong]).output().unwrap(), 4);
        assert!(!told.contains("a wrong password"), "{told}");
        operator.done(&["user", "list", "--limit", "1"]);

        let report = operator.done(&["logout"]);
        assert_eq!(report["username"], "admin", "{report}");
        system.refresh(&refresh, None).await.expect_problem(401, "invalid-refresh-token");
        assert!(!std::fs::read_to_string(stored(&operator).0).unwrap().contains(&refresh));
        problem(&operator.json(&["user", "list"]), 4);
        assert_eq!(operator.done(&["logout"])["username"], Value::Null, "a second time there is nothing to do");
    });
}

#[test]
fn a_stored_session_is_refreshed_when_its_token_ends_also_by_several_commands_at_once() {
    run(async {
        // Each token is about to end: each command refreshes.
        let operator = signed_in(&SHORT_LIVED);
        let first = refresh_token(&operator);
        let children: Vec<_> = (0..4)
            .map(|_| {
                operator
                    .command(&["user", "list", "--limit", "1", "--json"])
                    .stdout(std::process::Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            printed(&child.wait_with_output().unwrap(), 0);
        }
        let last = refresh_token(&operator);
        assert_ne!(first, last);
        // A session that was ended is no session: it says what to do and forgets it.
        let session = SHORT_LIVED.refresh(&last, None).await.expect(200).field("access_token");
        let sid = e2e::forge::claims(&session)["sid"].as_str().unwrap().to_owned();
        let admin = Operator::admin(&SHORT_LIVED).await;
        admin.done(&["session", "end", &sid]);
        let told = complaint(&operator.command(&["user", "list"]).output().unwrap(), 4);
        assert!(told.contains("propusk login"), "{told}");
        assert!(!std::fs::read_to_string(stored(&operator).0).unwrap().contains("prt_"));
    });
}

#[test]
fn a_file_that_others_can_read_is_no_place_for_a_credential() {
    run(async {
        let operator = signed_in(&PLAIN);
        let (path, _) = stored(&operator);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let told = complaint(&operator.command(&["user", "list"]).output().unwrap(), 1);
        assert!(told.contains("chmod 600") && told.contains(&path.display().to_string()), "{told}");
    });
}

#[test]
fn a_job_has_its_credential_in_a_file_and_the_first_that_is_named_counts() {
    run(async {
        let (system, admin) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("job");
        let secret = admin.path("job.secret").display().to_string();
        admin.done(&["client", "create", &name, "--audience", "propusk", "--secret-file", &secret]);
        let job = || {
            Operator::at(&system.ready.authority)
                .with("PROPUSK_CLIENT_ID", &name)
                .with("PROPUSK_CLIENT_SECRET_FILE", &secret)
        };
        // A client like any other: it may do what its roles permit.
        problem(&job().json(&["user", "list"]), 4);
        admin.done(&["role", "give", &format!("client:{name}"), "propusk/admin"]);
        job().done(&["user", "list", "--limit", "1"]);
        assert!(walk(job().home.path()).is_empty(), "a job leaves no files");
        // PROPUSK_TOKEN comes before it.
        problem(&job().with("PROPUSK_TOKEN", "no-token").json(&["user", "list"]), 4);
        let half = Operator::at(&system.ready.authority).with("PROPUSK_CLIENT_ID", &name);
        let told = complaint(&half.command(&["user", "list"]).output().unwrap(), 2);
        assert!(told.contains("PROPUSK_CLIENT_SECRET_FILE"), "{told}");
        let wrong = admin.secret_file("wrong.secret", "psk_wrong");
        let told = job().with("PROPUSK_CLIENT_SECRET_FILE", &wrong).command(&["user", "list"]).output().unwrap();
        let told = complaint(&told, 4);
        assert!(told.contains("PROPUSK_CLIENT_ID") && !told.contains("psk_wrong"), "{told}");
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let told = complaint(&job().command(&["user", "list"]).output().unwrap(), 2);
        assert!(told.contains("chmod 600"), "{told}");
        admin.done(&["client", "delete", &name]);
    });
}

/// Not in what is printed, not in a log, and no argument can hold one.
#[test]
fn no_secret_is_seen() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("secretive");
        let file = operator.secret_file("password", PASSWORD);
        let path = operator.path("client.secret").display().to_string();
        let mut outputs = Vec::new();
        for command in [
            ["user", "create", &name, "--password-file", &file].as_slice(),
            &["user", "password", &name, "--password-file", &file],
            &["client", "create", &name, "--audience", "cars", "--secret-file", &path],
            &["client", "show", &name],
            &["user", "show", &name],
        ] {
            let output = operator.json(command);
            printed(&output, 0);
            outputs.push(texts(&output));
        }
        let person = Operator::at(&system.ready.authority);
        let output = person.json(&["login", "--username", &name, "--password-file", &file]);
        printed(&output, 0);
        outputs.push(texts(&output));
        let secret = std::fs::read_to_string(&path).unwrap();
        let token = operator.variables.iter().find(|(name, _)| name == "PROPUSK_TOKEN").map(|(_, token)| token.clone());
        let log = system.log.text();
        for secret in [PASSWORD, secret.trim(), &token.unwrap(), &refresh_token(&person)] {
            assert!(!log.contains(secret), "in the log of the authority");
            assert!(outputs.iter().all(|(out, err)| !out.contains(secret) && !err.contains(secret)), "printed");
        }
        let help = person.told(&["login", "--help"]);
        assert!(!help.contains("--password "), "a password on the command line: {help}");
    });
}
