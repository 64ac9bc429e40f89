//! People from other systems, with the hashes that those made; and everybody, handed on to another system.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use e2e::people::{PASSWORD, Tokens};
use e2e::process::{Log, Process};
use e2e::run;
use e2e::system::{Options, System, product};
use e2e::unique;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// Hashes of the password as other systems make them.
const KINDS: [(&str, &str); 7] = [
    ("bcrypt", "$2y$04$/OSD/OSD/OSD/OSD/OSD/O76hC.Z3.SDhqg8DKPG3j.yjcGpHECly"),
    ("scrypt", "$scrypt$ln=4,r=8,p=1$c2FsdHlzYWx0$XaQCB2Xq3h9LFIG+aXV5P1dZWccTBQ08MkHa3PWWnzI"),
    ("argon2i", "$argon2i$v=19$m=32,t=1,p=1$c2FsdCBvZiBvdGhlcnMhIQ$sYdvEnfSnaPbev8iyYjoRGjdx8LRVdtifE5vML/dNyQ"),
    ("argon2id", "$argon2id$v=19$m=32,t=1,p=1$c2FsdCBvZiBvdGhlcnMhIQ$QpuYrZPvPRayRviu4ubxXrUABioPwDv6ALcHgHjgTMw"),
    ("pbkdf2-sha1", "$pbkdf2-sha1$1000$c2FsdHlzYWx0$LEXA7YJnPg0J/NDYEwBIc0Db6i8"),
    ("pbkdf2-phc", "$pbkdf2-sha256$i=1000,l=32$c2FsdHlzYWx0$350m7niOlnbV+XEGD44ylov/4LlGRBMv9TVhqjlMSeA"),
    ("pbkdf2-django", "pbkdf2_sha256$1000$seasalt$eZsmgGyFp3Ev4nT5I1+3Vx/UakDvzmRlf4XISSeJitU="),
];

/// How hashes begin that these systems make themselves.
const OURS: &str = "$argon2id$v=19$m=8,t=1,p=1$";

fn command(system: &System, token: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = product();
    command.env("HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_DATA_HOME", home).env("XDG_STATE_HOME", home);
    command.args(arguments).args(["--authority", &system.ready.authority]).env("PROPUSK_TOKEN", token);
    command
}

async fn propusk(system: &System, home: &Path, arguments: &[&str]) -> Output {
    command(system, &system.admin_token("propusk").await, home, arguments).output().unwrap()
}

#[track_caller]
fn printed(output: &Output, status: i32) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("not one document: {error}\n{out}\n{err}"))
}

/// Everybody, by username, as an export tells of them.
async fn exported(system: &System, home: &Path) -> BTreeMap<String, Value> {
    let file = home.join(unique("export.jsonl"));
    let output = propusk(system, home, &["export", file.to_str().unwrap(), "--format", "jsonl", "--json"]).await;
    let told = printed(&output, 0);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "there are hashes in it");
    let text = std::fs::read_to_string(&file).unwrap();
    let people: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told["people"], people.len());
    let by_name: BTreeMap<_, _> =
        people.iter().map(|person| (person["username"].as_str().unwrap().to_owned(), person.clone())).collect();
    assert_eq!(by_name.len(), people.len(), "nobody is there twice");
    by_name
}

async fn imported_people_sign_in(system: &System, home: &Path, prefix: &str) {
    let before = exported(system, home).await;
    for (kind, hash) in KINDS {
        let name = format!("{prefix}-{kind}");
        assert_eq!(before[&name]["password_hash"], hash);
        system.try_login(&name, "seven violet staplers 4418", None).await.expect_problem(401, "invalid-credentials");
        Tokens::of(system.try_login(&name, PASSWORD, None).await);
    }
    let after = exported(system, home).await;
    for (kind, _) in KINDS {
        let name = format!("{prefix}-{kind}");
        let hash = after[&name]["password_hash"].as_str().unwrap();
        assert!(hash.starts_with(OURS), "{name} has signed in: {hash}");
        Tokens::of(system.try_login(&name, PASSWORD, None).await);
    }
}

#[test]
fn csv_with_each_kind_of_hash() {
    run(async {
        let (system, home, prefix) = (&*PLAIN, tempfile::tempdir().unwrap(), unique("csv"));
        let file = home.path().join("people.csv");
        let mut text = "username,password_hash,email,roles,created_at\r\n".to_owned();
        for (kind, hash) in KINDS {
            text += &format!("{prefix}-{kind},\"{hash}\",{kind}@Example.org,cars/buyer,2020-02-02T02:02:02Z\r\n");
        }
        std::fs::write(&file, text).unwrap();
        let told = printed(&propusk(system, home.path(), &["import", file.to_str().unwrap(), "--json"]).await, 0);
        assert_eq!((&told["created"], &told["refused"]), (&json!(KINDS.len()), &json!(0)), "{told}");
        let people = exported(system, home.path()).await;
        let person = &people[&format!("{prefix}-scrypt")];
        assert_eq!(person["email"], "scrypt@example.org", "{person}");
        assert_eq!((&person["roles"], &person["created_at"]), (&json!(["cars/buyer"]), &json!("2020-02-02T02:02:02Z")));
        imported_people_sign_in(system, home.path(), &prefix).await;
        let again = printed(&propusk(system, home.path(), &["import", file.to_str().unwrap(), "--json"]).await, 0);
        assert_eq!((&again["created"], &again["exists"]), (&json!(0), &json!(KINDS.len())), "also after the sign-ins");
        assert_eq!(
            std::fs::read_dir(home.path())
                .unwrap()
                .filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().contains("propusk-import"))
                .count(),
            0
        );
    });
}

#[test]
fn json_lines_and_what_is_refused_of_them() {
    run(async {
        let (system, home, prefix) = (&*PLAIN, tempfile::tempdir().unwrap(), unique("lines"));
        let (file, rejected) = (home.path().join("people.jsonl"), home.path().join("rejected"));
        let mut lines: Vec<String> = KINDS
            .iter()
            .map(|(kind, hash)| json!({"username": format!("{prefix}-{kind}"), "password_hash": hash}).to_string())
            .collect();
        lines.insert(1, json!({"username": "alice"}).to_string());
        lines.insert(3, "{\"username\": ".to_owned());
        lines.push(json!({"username": format!("{prefix}-costly"), "password_hash": "$2b$31$/OSD/OSD/OSD/OSD/OSD/O76hC.Z3.SDhqg8DKPG3j.yjcGpHECly"}).to_string());
        lines.push(
            json!({"username": format!("{prefix}-md5"), "password_hash": "5f4dcc3b5aa765d61d8327deb882cf99"})
                .to_string(),
        );
        lines.push(json!({"username": format!("{prefix}-pilot"), "roles": ["cars/pilot"]}).to_string());
        std::fs::write(&file, lines.join("\n")).unwrap();
        let arguments = ["import", file.to_str().unwrap(), "--rejected", rejected.to_str().unwrap()];
        let output = propusk(system, home.path(), &[&arguments[..], &["--json"]].concat()).await;
        let told = printed(&output, 1);
        assert_eq!((&told["created"], &told["refused"]), (&json!(KINDS.len()), &json!(5)), "{told}");
        let text = std::fs::read_to_string(&rejected).unwrap();
        let refused: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(json!(refused), told["refusals"]);
        for (refused, (line, reason)) in refused.iter().zip([
            (2, "username is taken"),
            (4, "is no JSON"),
            (10, "its cost is 31"),
            (11, "of a kind that is not known"),
            (12, "there is no cars/pilot"),
        ]) {
            assert_eq!(refused["line"], line, "{refused}");
            assert!(refused["reason"].as_str().unwrap().contains(reason), "{refused}: {reason}");
        }
        // For people: line by line, then the sum.
        let output = propusk(system, home.path(), &arguments).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("line 2: \"alice\": username is taken"), "{told}");
        assert!(!told.contains('\u{1b}'), "no progress bar where nobody watches: {told}");
        let sum = format!("0 created, {} there before, 5 refused", KINDS.len());
        assert!(String::from_utf8_lossy(&output.stdout).contains(&sum));
        imported_people_sign_in(system, home.path(), &prefix).await;
    });
}

/// Nor with a text that is too long for a password, which is checked like the empty one.
#[test]
fn nobody_signs_in_with_an_empty_password() {
    run(async {
        let username = unique("empty");
        let of_nothing = "$pbkdf2-sha256$1000$c2FsdHlzYWx0$CIHYBykeTZob0H+8QvLpC3Lr5RGM57Wh8zS+dXy34ps";
        let items = json!({"items": [{"username": username, "password_hash": of_nothing}]});
        let answer = PLAIN.admin_json("POST", "/users/import", &items).await.expect(200);
        assert_eq!(answer.json()["items"][0]["outcome"], "created");
        for typed in ["", &"x".repeat(1025)] {
            PLAIN.try_login(&username, typed, None).await.expect_problem(401, "invalid-credentials");
        }
    });
}

#[test]
fn wrong_files_are_usage_errors() {
    run(async {
        let (system, home) = (&*PLAIN, tempfile::tempdir().unwrap());
        let file = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        for (path, told) in [
            (file("people.xlsx", "x"), "--format"),
            (file("shoes.csv", "username,shoe_size\na,44\n"), "shoe_size"),
            (file("nobody.csv", "email\na@example.org\n"), "no column username"),
        ] {
            let output = propusk(system, home.path(), &["import", &path]).await;
            assert_eq!(output.status.code(), Some(2), "{path}");
            assert!(
                String::from_utf8_lossy(&output.stderr).contains(told),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let there = file("there.jsonl", "");
        let output = propusk(system, home.path(), &["export", &there]).await;
        assert_eq!(output.status.code(), Some(2), "an export replaces no file");
    });
}

/// What the file beside the input says.
fn created_so_far(input: &Path) -> u64 {
    let path = format!("{}.propusk-import", input.display());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let position: Value = serde_json::from_str(&text).unwrap_or_default();
    position["counts"]["created"].as_u64().unwrap_or(0)
}

/// First the command is killed, then the authority; each time it goes on, and in the end everybody is there once.
#[test]
fn an_import_that_crashes_in_the_middle_is_resumed_with_nothing_lost_or_doubled() {
    const PEOPLE: u64 = 8_000;
    run(async {
        let (system, home) = (System::start(&Options::new().split()), tempfile::tempdir().unwrap());
        let (file, rejected) = (home.path().join("people.jsonl"), home.path().join("rejected"));
        let (path, rejected_path) = (file.to_str().unwrap(), rejected.to_str().unwrap());
        let person = |n: u64| {
            match n % 1000 {
            // Refused by the authority, and by the command.
            500 => json!({"username": format!("not a name {n}")}).to_string(),
            750 => format!("{n} is no person"),
            _ => json!({"username": format!("person-{n}"), "password_hash": KINDS[5].1, "email": format!("p{n}@example.org")}).to_string(),
        }
        };
        std::fs::write(&file, (0..PEOPLE).map(|n| person(n) + "\n").collect::<String>()).unwrap();
        let token = system.admin_token("propusk").await;
        let start = |extra: &[&str]| {
            let arguments = [&["import", path, "--rejected", rejected_path, "--json"], extra].concat();
            Process::start(&mut command(&system, &token, home.path(), &arguments), &Log::default())
        };
        let until_created = |wanted: u64| {
            e2e::eventually("the import is in the middle", Duration::from_secs(60), || {
                (created_so_far(&file) >= wanted).then_some(())
            });
        };

        let mut first = start(&[]);
        until_created(600);
        first.signal(Signal::SIGKILL);
        first.wait(Duration::from_secs(10)).expect("killed");
        let after_first = created_so_far(&file);
        assert!((600..PEOPLE / 2).contains(&after_first), "{after_first}");

        let second = start(&["--resume"]);
        until_created(after_first + 600);
        system.kill("authority");
        let log = second.log.clone();
        let (status, out) = second.finish(Duration::from_secs(30));
        assert_eq!(status.code(), Some(5), "{out}\n{}", log.text());
        assert!(log.text().contains("--resume"), "{}", log.text());
        let after_second = created_so_far(&file);
        assert!(after_second < PEOPLE - 16, "it was in the middle");

        system.restart("authority");
        system.wait_ready("authority").await;
        let (status, out) = start(&["--resume"]).finish(Duration::from_secs(120));
        assert_eq!(status.code(), Some(1), "sixteen lines are no people: {out}");
        let told: Value = serde_json::from_str(&out).unwrap();
        // What was committed without being noted was there before: at most a batch for each crash.
        let (created, exists) = (told["created"].as_u64().unwrap(), told["exists"].as_u64().unwrap());
        assert_eq!((created + exists, &told["refused"]), (PEOPLE - 16, &json!(16)), "{told}");
        assert!(exists <= 400, "it went on where it had got to: {told}");
        let refused: Vec<u64> = std::fs::read_to_string(&rejected)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
            .collect();
        let expected: Vec<u64> = (0..PEOPLE).filter(|n| matches!(n % 1000, 500 | 750)).map(|n| n + 1).collect();
        assert_eq!(refused, expected, "each once and in order");

        let people = exported(&system, home.path()).await;
        for n in (0..PEOPLE).filter(|n| !matches!(n % 1000, 500 | 750)) {
            let person = people.get(&format!("person-{n}")).unwrap_or_else(|| panic!("person-{n} is lost"));
            assert_eq!(person["email"], format!("p{n}@example.org"));
        }
        assert_eq!(people.keys().filter(|name| name.starts_with("person-")).count() as u64, PEOPLE - 16);
        Tokens::of(system.try_login("person-1", PASSWORD, None).await);
        Tokens::of(system.try_login(&format!("person-{}", PEOPLE - 1), PASSWORD, None).await);
        assert_eq!(created_so_far(&file), 0, "nothing is left to resume");
    });
}

/// The demo's own three people are in every system, so they are refused as taken; all others are the same there.
#[test]
fn what_one_system_exports_another_imports() {
    run(async {
        let (from, to) = (System::start(&Options::new()), System::start(&Options::new()));
        let home = tempfile::tempdir().unwrap();
        let buyer = from.register_with_role("moves", "cars", "buyer").await;
        let disabled = from.register("stays-out").await;
        from.admin("POST", &format!("/users/{}/disable", disabled.id)).await.expect_enforced();
        from.admin_json("POST", "/groups", &json!({"id": "drivers"})).await.expect(201);
        from.admin("PUT", &format!("/groups/drivers/members/{}", buyer.id)).await.expect_enforced();
        for format in ["csv", "jsonl"] {
            let file = home.path().join(format!("people.{format}"));
            let told = printed(&propusk(&from, home.path(), &["export", file.to_str().unwrap(), "--json"]).await, 0);
            assert_eq!(told["people"], 5, "{told}");
            let told = printed(&propusk(&to, home.path(), &["import", file.to_str().unwrap(), "--json"]).await, 1);
            let members = if format == "csv" { ("created", "exists") } else { ("exists", "created") };
            assert_eq!(
                (&told[members.0], &told[members.1], &told["refused"]),
                (&json!(2), &json!(0), &json!(3)),
                "{told}"
            );
        }
        let (here, there) = (exported(&from, home.path()).await, exported(&to, home.path()).await);
        for name in [&buyer.username, &disabled.username] {
            assert_eq!(here[name], there[name]);
        }
        let tokens = to.login(&buyer, "cars").await;
        let claims = e2e::forge::claims(&tokens.access);
        assert_eq!((&claims["sub"], &claims["roles"]), (&json!(buyer.id), &json!(["buyer"])));
        to.try_login(&disabled.username, PASSWORD, None).await.expect_problem(401, "invalid-credentials");
        let standard = propusk(&from, home.path(), &["export", "-"]).await;
        assert_eq!(String::from_utf8_lossy(&standard.stdout).lines().count(), 5);
    });
}
