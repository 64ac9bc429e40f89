//! The command line against a running system: what it prints for programs and for people, and its exit status.
//!
//! | module | what is shown |
//! |---|---|
//! | [`bootstrap`] | the first administrator without a person: a client whose secret is in a file |
//! | [`config`] | the configuration's own commands |
//! | [`credentials`] | signing in and out, credentials of the environment, and that no secret is seen |
//! | [`machines`] | services, clients, exchange rules, keys, tokens |
//! | [`people`] | users, groups, sessions, roles, and why somebody may do something |
//! | [`reach`] | every operation of the admin API has a command that calls it |
//! | [`retry`] | an answer that is lost on its way |
//! | [`status`] | the exit statuses |
//! | [`terminal`] | tables, questions, completion |

mod bootstrap;
mod config;
mod credentials;
mod machines;
mod people;
mod reach;
mod retry;
mod status;
mod terminal;

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use e2e::system::{System, product};
use serde_json::Value;

/// Somebody at the command line, without files of the person who runs the tests.
struct Operator {
    authority: String,
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Operator {
    /// Who has no credential yet.
    fn at(authority: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { authority: authority.to_owned(), home, variables: Vec::new() }
    }

    /// With a token in the environment.
    fn with_token(authority: &str, token: &str) -> Self {
        Self::at(authority).with("PROPUSK_TOKEN", token)
    }

    /// An administrator of this system.
    async fn admin(system: &System) -> Self {
        Self::with_token(&system.ready.authority, &system.admin_token("propusk").await)
    }

    /// With one more variable in the environment.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command, to be started.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = product();
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env(name, self.home.path());
        }
        command.env_remove("NO_COLOR").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("PROPUSK_AUTHORITY", &self.authority).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command as a program does.
    fn json(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--json").output().unwrap()
    }

    /// The document that it prints.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        printed(&self.json(arguments), 0)
    }

    /// What it prints for people, through a pipe.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
        out
    }

    /// The same with something on standard input.
    fn fed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let piped = command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A file of the operator's home.
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file that only its owner can read; its path as an argument.
    fn secret_file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The one document on standard output.
#[track_caller]
fn printed(output: &Output, status: i32) -> Value {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("not one document: {error}\n{out}\n{err}"))
}

/// The problem document on standard error, with nothing on standard output.
#[track_caller]
fn problem(output: &Output, status: i32) -> Value {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    assert_eq!(out, "", "{err}");
    let document: Value = serde_json::from_str(&err).unwrap_or_else(|error| panic!("{error}\n{err}"));
    assert!(document["type"].as_str().is_some_and(|kind| kind.starts_with("urn:propusk:problem:")), "{document}");
    document
}

/// What it says to people when it does not work, with nothing on standard output.
#[track_caller]
fn complaint(output: &Output, status: i32) -> String {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    assert_eq!(out, "", "{err}");
    err
}

/// The texts of a list that is a member.
#[track_caller]
fn list<'a>(document: &'a Value, member: &str) -> Vec<&'a str> {
    let items = document[member].as_array().unwrap_or_else(|| panic!("{member}: {document}"));
    items.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("{member}: {document}"))).collect()
}

/// The items of a list that a command printed.
#[track_caller]
fn items(document: &Value) -> &Vec<Value> {
    assert_eq!(document["next_cursor"], Value::Null, "all of it: {document}");
    document["items"].as_array().unwrap_or_else(|| panic!("items: {document}"))
}

/// The permission bits of a file.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
