//! `propusk doctor`: a system that is well, and one fault after the other. Faults of files are in the product's own tests.

use std::path::Path;

use e2e::run;
use e2e::system::{Options, System, product};
use serde_json::Value;

/// Its status and what it found.
fn examined(data: &Path, more: &[&str]) -> (i32, Vec<Value>) {
    let home = tempfile::tempdir().unwrap();
    let mut command = product();
    command.env("HOME", home.path()).env("XDG_DATA_HOME", home.path()).env("XDG_CONFIG_HOME", home.path());
    let output = command.args(["doctor", "--json", "--data"]).arg(data).args(more).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&output.stderr)));
    let status = output.status.code().unwrap();
    assert_eq!(document["ok"], status == 0, "{document}");
    (status, document["findings"].as_array().unwrap().clone())
}

/// The finding that says this, of its level.
#[track_caller]
fn expect(findings: &[Value], level: &str, part: &str) -> Value {
    let says = |finding: &&Value| finding["what"].as_str().is_some_and(|what| what.contains(part));
    let found = findings.iter().find(says).unwrap_or_else(|| panic!("{part}: {findings:#?}"));
    assert_eq!(found["level"], level, "{found}");
    found.clone()
}

#[test]
fn a_running_system_is_well_until_a_part_of_it_is_gone() {
    run(async {
        let system = System::start(&Options::new().split());
        let data = &system.ready.data;
        let (status, findings) = examined(data, &[]);
        let wrong: Vec<_> = findings.iter().filter(|finding| finding["level"] == "wrong").collect();
        assert_eq!((status, wrong.len()), (0, 0), "{wrong:#?}");
        for part in ["cars is ready", "gateway is ready", "the feed is served", "every page", "in use by process"] {
            expect(&findings, "fine", part);
        }
        for area in ["configuration", "files", "tls", "limits", "database", "keys", "clock", "network"] {
            assert!(findings.iter().any(|finding| finding["area"] == area), "{area}: {findings:#?}");
        }
        system.kill("cars");
        let (status, findings) = examined(data, &[]);
        let found = expect(&findings, "wrong", "cars does not answer");
        assert!(
            status == 1 && found["remedy"].as_str().is_some_and(|remedy| remedy.contains("start it again")),
            "{found}"
        );
        // It looks, and disturbs nobody.
        let token = system.login(&system.demo("alice"), "posts").await.access;
        system.elite("posts", &token).await.expect(200);
    });
}

#[test]
fn what_is_stopped_is_looked_at_as_well() {
    run(async {
        let data = tempfile::tempdir().unwrap();
        let system = System::start(&Options::on(data.path()));
        let status = system.stop(nix::sys::signal::Signal::SIGTERM, std::time::Duration::from_secs(6));
        assert!(status.success());
        let free = ["--set", "listen.authority=127.0.0.1:0", "--set", "listen.gateway=127.0.0.1:0"];
        let (status, findings) = examined(data.path(), &free);
        assert_eq!(status, 0, "{findings:#?}");
        expect(&findings, "fine", "nobody has it open");

        let taken = e2e::raw::listener();
        let gateway = format!("listen.gateway={}", taken.local_addr().unwrap());
        let (status, findings) = examined(data.path(), &["--set", "listen.authority=127.0.0.1:0", "--set", &gateway]);
        assert_eq!(status, 1);
        expect(&findings, "wrong", "is in use");

        let (status, findings) = examined(data.path(), &["--set", "feed.lease=soon", "--set", "nonsense=1"]);
        assert_eq!(status, 1);
        expect(&findings, "wrong", "soon");
        expect(&findings, "wrong", "nonsense");
        expect(&findings, "fine", "every page");
    });
}
