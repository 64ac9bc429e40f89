//! Schemathesis, which knows nothing of us, reads our OpenAPI document and tries every call of it with thousands of requests
//! that fit it and that do not: nothing is answered by a 5xx, and nothing by what the document does not say. What it has to
//! be told is in `e2e/openapi`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::people::Person;
use e2e::process::root;
use e2e::run;
use e2e::system::{Options, System};
use serde_json::{Value, json};

/// The same requests in every run; another number makes others.
const SEED: &str = "1";
/// Requests of a kind for each call, beside those at the edges of what the document allows.
const EXAMPLES: &str = "8";
/// About a minute of it is used on two busy cores.
const LIMIT: Duration = Duration::from_secs(300);
/// As whom it administers.
const CLIENT: &str = "schemathesis";

#[test]
fn no_call_answers_what_it_does_not_document() {
    // Tests that measure wait until this one is over.
    run(async {
        let Some(python) = e2e::python::environment("openapi", "answers that the document does not know") else {
            return;
        };
        // Whoever guesses passwords is slowed down, and this is all that some of these requests do.
        let system = System::start(&Options::new().set("throttle.enabled", "false"));
        let (secret, person, document) = prepare(&system).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
        for file in ["hooks.py", "schemathesis.toml"] {
            std::fs::copy(root().join("e2e/openapi").join(file), folder.path().join(file)).unwrap();
        }
        let mut command = Command::new(python.with_file_name("schemathesis"));
        command
            .args(["run", "openapi.json", "--url", &system.authority(""), "--seed", SEED, "--max-examples", EXAMPLES])
            .env("PROPUSK_URL", system.authority(""))
            .env("PROPUSK_CLIENT", CLIENT)
            .env("PROPUSK_SECRET", secret)
            .env("PROPUSK_PERSON", &person.username)
            .env("PROPUSK_PASSWORD", &person.password);
        let (found_nothing, report) = tried(&mut command, folder.path());
        assert!(found_nothing, "{report}\nThe log of the system:\n{}", system.log.text());
        let statuses = std::fs::read_to_string(folder.path().join("statuses.json")).expect("what was answered");
        expect_meaning(&document, &serde_json::from_str(&statuses).unwrap());
    });
}

/// A client that administers, with its secret; a person; and what is to be tried.
async fn prepare(system: &System) -> (String, Person, Value) {
    let body = json!({
        "client_id": CLIENT, "client_name": CLIENT, "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic", "audiences": ["propusk"],
    });
    let secret = system.admin_json("POST", "/clients", &body).await.expect(201).field("client_secret");
    system.admin("PUT", &format!("/clients/{CLIENT}/roles/propusk/admin")).await.expect_enforced();
    let person = system.register(CLIENT).await;
    (secret, person, system.admin("GET", "/openapi.json").await.expect(200).json())
}

/// Runs to the end; whether nothing was found, and what was written.
fn tried(command: &mut Command, folder: &Path) -> (bool, String) {
    let report = folder.join("report.txt");
    let out = File::create(&report).unwrap();
    let mut child = command
        .current_dir(folder)
        .env("PROPUSK_STATUSES", folder.join("statuses.json"))
        .env("NO_PROXY", "127.0.0.1")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stderr(out.try_clone().unwrap())
        .stdout(out)
        .spawn()
        .unwrap();
    let status = e2e::within(LIMIT, || child.try_wait().unwrap());
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let report = std::fs::read_to_string(report).unwrap();
    (status.is_some_and(|status| status.success()), report)
}

/// How often each call was answered with which status.
type Statuses = BTreeMap<String, BTreeMap<String, u64>>;

/// It proves nothing that all are told the same "no": each call did what it is for at least once, and some requests were
/// refused.
fn expect_meaning(document: &Value, statuses: &Statuses) {
    let (mut never, mut calls) = (Vec::new(), 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let call = format!("{} {path}", method.to_uppercase());
            let answered = statuses.get(&call).cloned().unwrap_or_default();
            if !answered.keys().any(|status| status.starts_with('2')) {
                never.push(format!("{call}: {answered:?}"));
            }
            calls += 1;
        }
    }
    assert!(never.is_empty(), "these never succeeded, of {calls}:\n{}", never.join("\n"));
    let all: u64 = statuses.values().flat_map(BTreeMap::values).sum();
    let good: u64 = statuses.values().flatten().filter(|(status, _)| status.starts_with('2')).map(|(_, n)| n).sum();
    eprintln!("{calls} calls tried with {all} requests, of which {good} succeeded");
    assert!(all > 2_000 && good > all / 10 && good < all * 9 / 10, "{good} of {all} succeeded");
}
