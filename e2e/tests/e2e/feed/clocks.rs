//! Wall clocks that are stepped: leases and freshness are on a clock that nobody can set, so nothing revoked comes back.
//!
//! `cars` runs with libfaketime between it and the C library: it reads its wall clock, and only that, from where the
//! test says.

use std::path::{Path, PathBuf};

use e2e::http::Refusal;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};

use super::{freeze_with_lease, made_by, wait_until_live};

/// Where Debian and others keep the library.
fn library() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    let paths = folders.iter().map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    let found = paths.into_iter().find(|path| path.exists());
    let in_ci = ["CI", "PROPUSK_CI"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(found.is_some() || !in_ci, "libfaketime is missing; in CI it is required: apt-get install faketime");
    if found.is_none() {
        eprintln!("\n*** SKIPPED: libfaketime is missing, so nothing was shown about stepped wall clocks.");
        eprintln!("*** sudo apt-get install faketime\n");
    }
    found
}

/// A system whose `cars` reads its wall clock, shifted, from a file.
struct Shifted {
    system: System,
    folder: tempfile::TempDir,
}

impl Shifted {
    async fn start(library: &Path) -> Self {
        let shifted = Self { system: System::start(&Options::new().split()), folder: tempfile::tempdir().unwrap() };
        shifted.step("+0");
        let variables = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", shifted.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Neither the monotonic clock nor the one that counts sleep.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        shifted.system.kill("cars");
        shifted.system.restart_with("cars", str::to_owned, &variables);
        shifted.system.wait_ready("cars").await;
        wait_until_live(&shifted.system).await;
        shifted
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// Steps the wall clock of `cars` to this far from the true time, in seconds.
    fn step(&self, seconds: &str) {
        // Replaced as a whole: it may be read at any moment.
        let next = self.folder.path().join("next");
        std::fs::write(&next, seconds).unwrap();
        std::fs::rename(&next, self.file()).unwrap();
    }
}

#[test]
fn a_stepped_wall_clock_neither_ends_a_lease_nor_brings_back_what_was_revoked() {
    run(async {
        let Some(library) = library() else { return };
        let shifted = Shifted::start(&library).await;
        let system = &shifted.system;
        let person = system.register("stepped").await;
        for step in ["+300", "-4", "+4", "-300", "+0"] {
            let (kept, gone) = (system.login(&person, "cars").await, system.login(&person, "cars").await);
            shifted.step(step);
            if step == "-300" {
                // To a clock that far behind, every token is from the future.
                system.elite("cars", &kept.access).await.expect_refusal(Refusal::Invalid);
            } else {
                system.ordinary("cars", &kept.access).await.expect(200);
                e2e::eventually_async("a lease under this clock", START_LIMIT, || async {
                    let answer = system.elite("cars", &kept.access).await.expect(200);
                    (made_by(&answer) == "lease").then_some(())
                })
                .await;
            }
            let body = serde_json::json!({"refresh_token": gone.refresh});
            let logout = system.http.post(&system.authority("/auth/logout")).json(&body);
            logout.send().await.expect(204).expect_enforced_header();
            for answer in [system.elite("cars", &gone.access).await, system.ordinary("cars", &gone.access).await] {
                assert_eq!(answer.status, 401, "the clock stepped by {step} s\n{answer}");
            }
        }
        // Far ahead, every token is past its end.
        let tokens = system.login(&person, "cars").await;
        shifted.step("+7200");
        system.elite("cars", &tokens.access).await.expect_refusal(Refusal::Expired);
        shifted.step("+0");
        system.elite("cars", &tokens.access).await.expect(200);
    });
}

#[test]
fn a_wall_clock_set_back_does_not_revive_a_lease_that_ended() {
    run(async {
        let Some(library) = library() else { return };
        let shifted = Shifted::start(&library).await;
        let system = &shifted.system;
        let person = system.register("set-back").await;
        let tokens = system.login(&person, "cars").await;
        system.elite("cars", &tokens.access).await.expect(200);
        let admin = system.admin_token("propusk").await;
        let frozen = freeze_with_lease(system, "cars").await;
        let url = system.authority(&format!("/admin/v1/users/{}/sessions?wait=enforced", person.id));
        system.http.request("DELETE", &url).bearer(&admin).send().await.expect_enforced();
        // By its wall clock the lease would still run: within the leeway, so that the token is not from the future.
        shifted.step("-4");
        frozen.wake();
        for _ in 0..20 {
            let answer = system.elite("cars", &tokens.access).await;
            assert!(answer.status == 401 || answer.status == 503, "\n{answer}");
        }
        e2e::eventually_async("it knows what it missed", START_LIMIT, || async {
            let answer = system.elite("cars", &tokens.access).await;
            (answer.status == 401).then(|| answer.expect_refusal(Refusal::Revoked))
        })
        .await;
    });
}
