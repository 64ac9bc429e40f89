//! The command line against a running system: what it prints for programs, and its exit status.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output};

use e2e::people::{PASSWORD, Tokens};
use e2e::run;
use e2e::system::{Options, System, product};
use serde_json::Value;

use crate::shared::PLAIN;

/// A command of somebody with this token, without files of the person who runs the tests.
fn command(system: &System, token: &str, home: &Path, arguments: &[&str]) -> Output {
    let authority = system.ready.authority.clone();
    with_environment(&mut product(), home)
        .args(arguments)
        .args(["--json", "--authority", &authority])
        .env("PROPUSK_TOKEN", token)
        .output()
        .unwrap()
}

fn with_environment<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_STATE_HOME", home)
}

#[track_caller]
fn printed(output: &Output, status: i32) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("not one document: {error}\n{out}\n{err}"))
}

/// The problem document on standard error, with nothing on standard output.
#[track_caller]
fn problem(output: &Output, status: i32) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    assert_eq!(out, "", "{err}");
    let document: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}\n{err}"));
    assert!(document["type"].as_str().is_some_and(|kind| kind.starts_with("urn:propusk:problem:")), "{document}");
    document
}

#[test]
fn an_administrator_does_by_command_what_the_calls_do() {
    run(async {
        let (system, home) = (&*PLAIN, tempfile::tempdir().unwrap());
        let person = system.register("commanded").await;
        let admin = system.admin_token("propusk").await;
        let run = |arguments: &[&str]| command(system, &admin, home.path(), arguments);
        let listed = printed(&run(&["user", "list", "--username", &person.username]), 0);
        assert!(listed.to_string().contains(&person.id), "{listed}");
        let given = printed(&run(&["role", "give", &person.username, "cars/buyer"]), 0);
        assert_eq!(given["outcome"], "enforced", "{given}");
        let tokens = system.login(&person, "cars").await;
        let sessions = printed(&run(&["session", "list", &person.id]), 0);
        assert!(sessions.to_string().contains(&tokens.sid()), "{sessions}");
        let taken = printed(&run(&["role", "take", &person.id, "cars/buyer", "--wait", "committed"]), 0);
        assert_eq!(taken["outcome"], "committed", "{taken}");
        printed(&run(&["session", "end", "--all-of", &person.username]), 0);
        system.elite("cars", &tokens.access).await.expect_refusal(e2e::http::Refusal::Revoked);
        printed(&run(&["user", "disable", &person.username]), 0);
        system.try_login(&person.username, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        let verifiers = printed(&run(&["verifier", "list"]), 0);
        for service in ["users", "posts", "cars"] {
            assert!(verifiers.to_string().contains(&format!("\"service\":\"{service}\"")), "{verifiers}");
        }
        let keys = printed(&run(&["keys", "list", "cars"]), 0);
        assert!(keys.to_string().contains("\"state\":\"active\""), "{keys}");
        problem(&run(&["user", "show", "nobody-of-this-name"]), 1);
    });
}

#[test]
fn exit_statuses_tell_failures_apart() {
    run(async {
        let (system, home) = (&*PLAIN, tempfile::tempdir().unwrap());
        let person = system.register("not-an-admin").await;
        let token = system.login(&person, "propusk").await.access;
        // Signed in, but not allowed; not signed in; not reachable; not understood.
        problem(&command(system, &token, home.path(), &["user", "list"]), 4);
        problem(&command(system, "no-token", home.path(), &["user", "list"]), 4);
        let output = with_environment(&mut product(), home.path())
            .args(["user", "list", "--json", "--authority", &system.ready.authority])
            .output()
            .unwrap();
        problem(&output, 4);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let away = format!("http://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let output = with_environment(&mut product(), home.path())
            .args(["user", "list", "--json", "--authority", &away])
            .env("PROPUSK_TOKEN", &token)
            .output()
            .unwrap();
        problem(&output, 5);
        let output = product().args(["user", "fly"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        let output = product().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "without a command it shows what there is");
    });
}

#[test]
fn a_change_that_is_not_enforced_in_time_has_a_status_of_its_own() {
    run(async {
        let (system, home) = (System::start(&Options::new().split()), tempfile::tempdir().unwrap());
        crate::feed::wait_until_live(&system).await;
        let person = system.register("slow").await;
        let admin = system.admin_token("propusk").await;
        let frozen = crate::feed::freeze_with_lease(&system, "posts").await;
        let arguments = ["user", "disable", &person.username, "--wait-ms", "100"];
        let report = printed(&command(&system, &admin, home.path(), &arguments), 3);
        assert_eq!(report["outcome"], "committed", "{report}");
        assert_eq!(report["laggards"][0]["service"], "posts", "{report}");
        frozen.wake();
    });
}

#[test]
fn who_signs_in_by_command_stays_signed_in_and_no_secret_is_an_argument() {
    run(async {
        let (system, home) = (&*PLAIN, tempfile::tempdir().unwrap());
        let password = system.ready.admin.password.clone().unwrap();
        let file = home.path().join("password");
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).mode(0o600).open(&file).unwrap().write_all(password.as_bytes()).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = product();
            with_environment(&mut command, home.path());
            command.args(arguments).args(["--json", "--authority", &system.ready.authority]).output().unwrap()
        };
        printed(&run(&["login", "--password-file", &file.display().to_string()]), 0);
        let listed = printed(&run(&["user", "list", "--username", "alice"]), 0);
        assert!(listed.to_string().contains("alice"), "{listed}");
        let wrong = home.path().join("wrong");
        options.open(&wrong).unwrap().write_all(b"a wrong password of some length").unwrap();
        problem(&run(&["login", "--password-file", &wrong.display().to_string()]), 4);
        let help = product().args(["login", "--help"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&help.stdout).contains("--password "), "a password on the command line");
        // What it keeps is for its owner's eyes.
        for kept in walk(home.path()) {
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept).unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "{} can be read by others", kept.display());
        }
    });
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(walk(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn the_example_of_a_configuration_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let example = product().args(["config", "example"]).output().unwrap();
    assert_eq!(example.status.code(), Some(0));
    let text = String::from_utf8(example.stdout).unwrap();
    let file = folder.path().join("propusk.toml");
    std::fs::write(&file, &text).unwrap();
    let check = |file: &Path| product().args(["config", "check"]).arg(file).output().unwrap();
    let good = check(&file);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    // With every comment taken away from a setting it still holds.
    let bare: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.contains(" = ") && !rest.starts_with(' ') => rest,
            _ => line,
        })
        .fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(&file, &bare).unwrap();
    let output = check(&file);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("unknown"), "{told}\n{bare}");
    // All that is wrong is told at once, each with its place.
    std::fs::write(&file, "[token]\naccess_ttl = 7\nnonsense = true\n[feed]\nlease = \"soon\"\n").unwrap();
    let bad = check(&file);
    assert_eq!(bad.status.code(), Some(2));
    let told = String::from_utf8_lossy(&bad.stderr).into_owned() + &String::from_utf8_lossy(&bad.stdout);
    for piece in ["access_ttl", "nonsense", "lease"] {
        assert!(told.contains(piece), "{piece}: {told}");
    }
}

#[test]
fn a_program_signs_in_for_a_token_and_inspects_it_by_the_key_address() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("inspected").await;
        let tokens: Tokens = system.login(&person, "posts").await;
        let keys = system.authority("/keys/posts/jwks.json");
        let inspect = |audience: &str, token: &str| {
            let arguments =
                ["token", "inspect", "--issuer", &system.ready.issuer, "--audience", audience, "--jwks", &keys];
            product().args(arguments).arg(token).output().unwrap()
        };
        let answer = printed(&inspect("posts", &tokens.access), 0);
        assert_eq!((&answer["decision"], &answer["signature"]), (&"accepted".into(), &"valid".into()), "{answer}");
        assert_eq!(answer["claims"]["sub"], person.id.as_str(), "{answer}");
        assert_eq!(answer["header"]["alg"], "RS256", "{answer}");
        let answer = printed(&inspect("cars", &tokens.access), 1);
        assert_eq!(answer["decision"], "refused", "{answer}");
        let answer = printed(&inspect("posts", "abc"), 1);
        assert_eq!(answer["signature"], "unchecked", "{answer}");
    });
}
