//! Backups of a running system, and restoring one while services and gateway run: nothing that was handed out before is
//! honoured, and verifiers find the new log by themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use e2e::forge::{self, claims, with};
use e2e::http::{Answer, Refusal};
use e2e::leak::Leaked;
use e2e::run;
use e2e::system::{Options, START_LIMIT, System, product};
use serde_json::{Value, json};

use crate::feed::wait_until_live;

/// What the head leaps by.
const LEAP: u64 = 1 << 32;

/// How old the view of an ordinary endpoint may be; a lease is shorter.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// A command without files of the person who runs the tests.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = product();
    command.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_STATE_HOME", home);
    command.args(arguments);
    command
}

#[track_caller]
fn printed(output: &Output, status: i32) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("not one document: {error}\n{out}\n{err}"))
}

#[track_caller]
fn told(output: &Output, status: i32, parts: &[&str]) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{err}");
    for part in parts {
        assert!(err.contains(part), "{part}: {err}");
    }
}

/// A system, the folder of its backups, and what commands on it have in common.
struct World {
    system: System,
    home: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        // New keys have to be there at once, and tokens outlive the test.
        let options = Options::new().split().set("log.level", "info");
        Self { system: System::start(&options), home: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn backup(&self, name: &str) -> Value {
        let token = self.system.admin_token("propusk").await;
        let file = self.file(name).display().to_string();
        let arguments = ["backup", &file, "--json", "--authority", &self.system.ready.authority];
        printed(&command(self.home.path(), &arguments).env("PROPUSK_TOKEN", token).output().unwrap(), 0)
    }

    fn on_data(&self, arguments: &[&str]) -> Output {
        let data = self.system.ready.data.display().to_string();
        command(self.home.path(), arguments).args(["--json", "--data", &data]).output().unwrap()
    }

    fn restore(&self, name: &str) -> Output {
        self.on_data(&["restore", &self.file(name).display().to_string()])
    }

    async fn start_authority_again(&self) {
        self.system.restart("authority");
        self.system.wait_ready("authority").await;
    }

    /// Elite and ordinary, until one verdict holds. Meanwhile a verifier may not be able to tell; and what it knows from
    /// before the restore is good for as long as views and leases are. What was revoked it never forgets.
    async fn settles(&self, service: &str, token: &str, refusal: Refusal) {
        self.ends(service, token, refusal != Refusal::Revoked).await;
        self.system.elite(service, token).await.expect_refusal(refusal);
        self.system.ordinary(service, token).await.expect_refusal(refusal);
    }

    /// The same, whatever the verdict is: stale for who knew the token, invalid for who never had its key.
    async fn ends(&self, service: &str, token: &str, may_hold_a_while: bool) {
        let begun = Instant::now();
        e2e::eventually_async(&format!("{service}: 401"), START_LIMIT, || async {
            let answers = [self.system.ordinary(service, token).await, self.system.elite(service, token).await];
            for answer in &answers {
                let may_hold = may_hold_a_while && begun.elapsed() < MAX_STALENESS;
                let is_right = matches!(answer.status, 401 | 503) || may_hold && answer.status == 200;
                assert!(is_right, "after {:?}\n{answer}", begun.elapsed());
            }
            answers.iter().all(|answer| answer.status == 401).then_some(())
        })
        .await;
    }

    /// A new sign-in is good at every service, and elite by lease.
    async fn works_again(&self) {
        wait_until_live(&self.system).await;
        for service in ["users", "posts", "cars"] {
            let token = self.system.login(&self.system.demo("alice"), service).await.access;
            e2e::eventually_async("elite by lease", START_LIMIT, || async {
                let answer = self.system.elite(service, &token).await.expect(200);
                decided_by_lease(&answer).then_some(())
            })
            .await;
            self.system.ordinary(service, &token).await.expect(200);
        }
    }

    async fn head(&self) -> u64 {
        let token = self.system.login(&self.system.demo("alice"), "cars").await.access;
        claims(&token)["epoch"].as_u64().unwrap()
    }
}

fn decided_by_lease(answer: &Answer) -> bool {
    answer.header("propusk-decision").split(';').any(|part| part.trim() == "by=lease")
}

/// As somebody who has a private key would make it: good until long after, and from far in the future.
fn forged(leaked: &Leaked, like: &str, service: &str) -> String {
    let header = json!({"alg": leaked.key.alg(), "kid": leaked.kid, "typ": "at+jwt"});
    let mut body = claims(like);
    for (member, value) in [
        ("aud", json!(service)),
        ("epoch", json!(1_u64 << 60)),
        ("exp", json!(forge::now() + 3000)),
        ("jti", json!(e2e::unique("forged"))),
        ("sid", Value::Null),
    ] {
        body = with(&body, member, value);
    }
    leaked.key.sign(&header, &body)
}

#[test]
fn a_restore_while_services_run_resurrects_nothing_and_verifiers_recover_by_themselves() {
    run(async {
        let world = World::start();
        let system = &world.system;
        wait_until_live(system).await;
        let alice = system.demo("alice");
        let (revoked, kept) = (system.login(&alice, "cars").await, system.login(&alice, "cars").await);
        let at_posts = system.login(&alice, "posts").await;
        let leaked = [Leaked::of(system, "cars"), Leaked::of(system, "propusk")];
        let forgery = forged(&leaked[0], &kept.access, "cars");
        system.elite("cars", &forgery).await.expect(200);
        let report = world.backup("backup.db").await;
        let head = world.head().await;

        // All of this is lost.
        system.admin("DELETE", &format!("/sessions/{}", revoked.sid())).await.expect_enforced();
        for key in &leaked {
            system.admin("POST", &format!("/keys/{}/revoke", key.kid)).await.expect_enforced();
        }
        let newcomer = system.register("newcomer").await;
        let minted_after = system.login(&newcomer, "cars").await;
        system.elite("cars", &revoked.access).await.expect_refusal(Refusal::Revoked);
        system.elite("cars", &forgery).await.expect_refusal(Refusal::Stale);
        told(&world.restore("backup.db"), 1, &["in use by another process", "nothing was restored"]);

        let frozen = system.freeze("posts");
        system.kill("authority");
        let restored = printed(&world.restore("backup.db"), 0);
        assert!(restored["head_seq"].as_u64().unwrap() >= head + LEAP, "{restored}");
        assert!(restored["sessions_ended"].as_u64().unwrap() >= 3, "{restored}");
        // Two of each of four rings.
        assert_eq!(restored["keys_revoked"], 8, "{restored}");
        assert_eq!(restored["made_at"], report["made_at"], "{restored}");
        let aside = restored["kept_aside"].as_str().unwrap();
        assert!(Path::new(aside).exists() && aside.contains("authority.db.before-"), "{restored}");
        world.start_authority_again().await;
        frozen.wake();

        world.settles("cars", &revoked.access, Refusal::Revoked).await;
        world.settles("cars", &kept.access, Refusal::Stale).await;
        world.settles("posts", &at_posts.access, Refusal::Stale).await;
        world.settles("cars", &forgery, Refusal::Stale).await;
        let again = forged(&leaked[0], &kept.access, "cars");
        world.settles("cars", &again, Refusal::Stale).await;
        let as_admin = forged(&leaked[1], &system_token(system).await, "propusk");
        let url = system.authority("/admin/v1/users");
        system.http.get(&url).bearer(&as_admin).send().await.expect_refusal(Refusal::Stale);
        // Nothing was known against this one before.
        world.ends("cars", &minted_after.access, true).await;
        for session in [&revoked, &kept, &at_posts, &minted_after] {
            system.refresh(&session.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        }
        system.try_login(&newcomer.username, &newcomer.password, None).await.expect_problem(401, "invalid-credentials");

        world.works_again().await;
        assert!(world.head().await >= head + LEAP);
        let session = system.login(&alice, "cars").await;
        system.elite("cars", &session.access).await.expect(200);
        system.admin("DELETE", &format!("/sessions/{}", session.sid())).await.expect_enforced();
        system.elite("cars", &session.access).await.expect_refusal(Refusal::Revoked);
        assert_eq!(system.audited("propusk", "restored").await.len(), 1);
    });
}

/// An access token of the administrator.
async fn system_token(system: &System) -> String {
    system.admin_token("propusk").await
}

#[test]
fn the_same_backup_a_second_time_even_where_the_database_is_gone() {
    run(async {
        let world = World::start();
        let system = &world.system;
        wait_until_live(system).await;
        world.backup("backup.db").await;
        let mut heads = vec![world.head().await];
        let mut tokens = vec![system.login(&system.demo("alice"), "cars").await];
        for is_gone in [false, false, true] {
            system.kill("authority");
            if is_gone {
                for entry in std::fs::read_dir(&system.ready.data).unwrap() {
                    let path = entry.unwrap().path();
                    if path.file_name().unwrap().to_str().unwrap().starts_with("authority.db") {
                        std::fs::remove_file(path).unwrap();
                    }
                }
            }
            let restored = printed(&world.restore("backup.db"), 0);
            assert_eq!(restored["kept_aside"].is_null(), is_gone, "{restored}");
            world.start_authority_again().await;
            world.works_again().await;
            for old in &tokens {
                world.ends("cars", &old.access, true).await;
            }
            heads.push(world.head().await);
            tokens.push(system.login(&system.demo("alice"), "cars").await);
        }
        assert!(heads[1] >= heads[0] + LEAP && heads[2] >= heads[1] + LEAP, "{heads:?}");
        // Nobody could know how far the log had come: verifiers noticed that it went back, and alarmed.
        assert!(heads[3] < heads[2], "{heads:?}");
        system.log.line_with(&["the authority's log ends before what was applied here"]);
    });
}

#[test]
fn feed_restore_goes_on_with_what_is_there_and_honours_nothing_from_before() {
    run(async {
        let world = World::start();
        let system = &world.system;
        wait_until_live(system).await;
        let person = system.register("survivor").await;
        let before = system.login(&person, "cars").await;
        told(&world.on_data(&["feed", "restore"]), 1, &["in use by another process", "nothing was changed"]);
        let head = world.head().await;
        system.kill("authority");
        let restored = printed(&world.on_data(&["feed", "restore"]), 0);
        assert!(
            restored["head_seq"].as_u64().unwrap() >= head + LEAP && restored["kept_aside"].is_null(),
            "{restored}"
        );
        world.start_authority_again().await;
        world.settles("cars", &before.access, Refusal::Stale).await;
        system.refresh(&before.refresh, None).await.expect_problem(401, "invalid-refresh-token");
        world.works_again().await;
        system.elite("cars", &system.login(&person, "cars").await.access).await.expect(200);
        assert_eq!(system.audited("propusk", "feed_restored").await.len(), 1);
    });
}

#[test]
fn a_backup_is_whole_its_owners_alone_and_for_administrators_only() {
    run(async {
        let world = World::start();
        let system = &world.system;
        let report = world.backup("backup.db").await;
        let file = world.file("backup.db");
        let metadata = std::fs::metadata(&file).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
        assert_eq!(report["bytes"], metadata.len(), "{report}");
        assert!(report["sha256"].as_str().is_some_and(|text| text.len() == 64), "{report}");
        let files = std::fs::read_dir(world.home.path()).unwrap();
        let left: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(left.iter().all(|name| !name.starts_with(".propusk-backup")), "{left:?}");
        // The key-encryption key is not in it, nor is any private key in the clear.
        let kek = std::fs::read_to_string(system.ready.data.join("kek")).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        for secret in [kek.trim().as_bytes().to_vec(), forge::unb64(kek.trim())] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_slice()));
        }

        let as_of = |token: &str, name: &str| {
            let file = world.file(name).display().to_string();
            let arguments = ["backup", &file, "--authority", &system.ready.authority];
            command(world.home.path(), &arguments).env("PROPUSK_TOKEN", token).output().unwrap()
        };
        let admin = system.admin_token("propusk").await;
        told(&as_of(&admin, "backup.db"), 2, &["is there already"]);
        let person = system.register("curious").await;
        let token = system.login(&person, "propusk").await.access;
        told(&as_of(&token, "stolen.db"), 4, &[]);
        assert!(!world.file("stolen.db").exists());
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    });
}

#[test]
fn what_is_no_backup_is_refused_and_a_restore_that_is_killed_leaves_the_old_or_the_new_one() {
    run(async {
        let world = World::start();
        let report = world.backup("backup.db").await;
        let data = world.system.ready.data.clone();
        world.system.kill("authority");
        std::fs::write(world.file("text"), "no database").unwrap();
        told(&world.restore("text"), 1, &["is not an SQLite database", "nothing was restored"]);
        let whole = std::fs::read(world.file("backup.db")).unwrap();
        std::fs::write(world.file("cut"), &whole[..whole.len() * 2 / 3]).unwrap();
        told(&world.restore("cut"), 1, &["is damaged", "nothing was restored"]);

        let old = head_of(&data);
        let begun = Instant::now();
        let mut finished = 0;
        let took = {
            // How long one takes, so that the kills are spread over all of it.
            printed(&world.restore("backup.db"), 0);
            begun.elapsed()
        };
        let mut heads = vec![old, head_of(&data)];
        assert!(heads[1] >= report["head_seq"].as_u64().unwrap() + LEAP, "{heads:?}");
        const KILLS: u32 = 24;
        for n in 0..KILLS {
            let mut child = command(world.home.path(), &["restore"])
                .arg(world.file("backup.db"))
                .args(["--data".as_ref(), data.as_os_str()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(took * n / KILLS + Duration::from_millis(1));
            child.kill().unwrap();
            child.wait().unwrap();
            let now = head_of(&data);
            let last = *heads.last().unwrap();
            assert!(now == last || now >= last + LEAP, "{n}: {now} after {heads:?}");
            finished += u32::from(now != last);
            heads.push(now);
        }
        eprintln!("{finished} of {KILLS} were done before they were killed; one takes {took:?}");
        assert!(finished < KILLS, "none was killed in the middle");
        printed(&world.restore("backup.db"), 0);
        let files = std::fs::read_dir(&data).unwrap();
        let left: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(left.iter().all(|name| !name.contains("restoring")), "{left:?}");
        world.start_authority_again().await;
        world.works_again().await;
    });
}

/// The head of a database that nobody has open, which has to be whole.
fn head_of(data: &Path) -> u64 {
    let database = rusqlite::Connection::open(data.join("authority.db")).unwrap();
    let text = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("SELECT CAST((SELECT count(*) FROM keys WHERE state = 'active') AS TEXT)"), "4");
    text("SELECT CAST(head AS TEXT) FROM log").parse().unwrap()
}
