//! The first administrator without a person: a client whose secret is in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::http::Http;
use e2e::process::{Log, Process};
use e2e::run;
use e2e::system::{START_LIMIT, product};

use super::{Operator, list, problem};

const SECRET: &str = "a-secret-of-the-deployment-0123456789";
const ANOTHER: &str = "another-secret-of-the-deployment-987654";

/// A folder with what an authority needs, and addresses for it.
struct Place {
    operator: Operator,
    ports: [String; 2],
    secret: PathBuf,
}

impl Place {
    fn new() -> Self {
        let held = [e2e::raw::listener(), e2e::raw::listener()];
        let ports = held.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
        let operator = Operator::at(&format!("http://{}", ports[0]));
        operator.secret_file("kek", &e2e::forge::b64(&[7; 32]));
        let secret = PathBuf::from(operator.secret_file("bootstrap", SECRET));
        Self { operator, ports, secret }
    }

    /// `propusk serve authority`, with the secret in this file.
    fn start(&self, secret: Option<&Path>) -> Process {
        let mut command = product();
        let file = |name: &str| self.operator.path(name).display().to_string();
        let settings = [
            format!("issuer=http://{}", self.ports[0]),
            format!("listen.authority={}", self.ports[0]),
            format!("listen.feed={}", self.ports[1]),
            format!("database.path={}", file("authority.db")),
            format!("kek.file={}", file("kek")),
            "argon2.m_kib=8".to_owned(),
            "argon2.t=1".to_owned(),
        ];
        command.args(["serve", "authority"]).args(settings.iter().flat_map(|setting| ["--set", setting]));
        if let Some(secret) = secret {
            command.env("PROPUSK_BOOTSTRAP_ADMIN_SECRET_FILE", secret);
        }
        Process::start(&mut command, &Log::default())
    }

    /// The same, once it answers.
    async fn started(&self, secret: Option<&Path>) -> Process {
        let process = self.start(secret);
        let (http, url) = (Http::new(), format!("http://{}/-/ready", self.ports[0]));
        e2e::eventually_async("the authority is ready", START_LIMIT, || async {
            let answer = http.get(&url).try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        process
    }

    /// A job with this secret.
    fn job(&self, secret: &str) -> Operator {
        let operator = Operator::at(&self.operator.authority).with("PROPUSK_CLIENT_ID", "bootstrap-admin");
        let file = operator.secret_file("secret", secret);
        operator.with("PROPUSK_CLIENT_SECRET_FILE", &file)
    }
}

#[test]
fn the_first_start_makes_an_administrator_of_the_secret_and_later_ones_change_nothing() {
    run(async {
        let place = Place::new();
        let process = place.started(Some(&place.secret)).await;
        assert!(!process.log.text().contains(SECRET));
        let job = place.job(SECRET);
        let client = job.done(&["client", "show", "bootstrap-admin"]);
        assert_eq!(list(&client, "roles"), ["propusk/admin"]);
        assert_eq!(list(&client, "audiences"), ["propusk"]);
        // The whole of an administrator: here it makes the first person.
        assert!(super::items(&job.done(&["user", "list"])).is_empty(), "`serve` makes no people");
        job.done(&["user", "create", "first", "--no-password"]);
        drop(process);

        // Another secret in the file is not a way in: what is there stays as it is.
        let process = place.started(Some(Path::new(&place.operator.secret_file("bootstrap", ANOTHER)))).await;
        place.job(SECRET).done(&["user", "show", "first"]);
        problem(&place.job(ANOTHER).json(&["user", "list"]), 4);
        assert_eq!(place.job(SECRET).done(&["client", "show", "bootstrap-admin"])["etag"], client["etag"]);
        drop(process);

        // Without the variable too.
        let process = place.started(None).await;
        place.job(SECRET).done(&["user", "show", "first"]);
        drop(process);
    });
}

#[test]
fn it_counts_as_an_administrator_and_does_not_come_back_once_deleted() {
    run(async {
        let place = Place::new();
        let process = place.started(Some(&place.secret)).await;
        let job = place.job(SECRET);
        // As long as it is the only one it stays. A person who has no password is not one who could take over.
        job.done(&["user", "create", "first", "--no-password"]);
        job.done(&["role", "give", "first", "propusk/admin"]);
        for command in [
            ["client", "delete", "bootstrap-admin"].as_slice(),
            &["client", "disable", "bootstrap-admin"],
            &["role", "take", "client:bootstrap-admin", "propusk/admin"],
        ] {
            assert_eq!(problem(&job.json(command), 1)["type"], "urn:propusk:problem:last-admin", "{command:?}");
        }
        let password = job.secret_file("password", e2e::people::PASSWORD);
        job.done(&["user", "password", "first", "--password-file", &password]);
        // With it there, the last person may go.
        job.done(&["role", "take", "first", "propusk/admin"]);
        job.done(&["role", "give", "first", "propusk/admin"]);
        job.done(&["client", "delete", "bootstrap-admin"]);
        assert_eq!(problem(&job.json(&["user", "list"]), 4)["type"], "urn:propusk:problem:not-allowed");
        drop(process);
        let process = place.started(Some(&place.secret)).await;
        problem(&place.job(SECRET).json(&["user", "list"]), 4);
        drop(process);
    });
}

#[test]
fn a_secret_file_that_others_can_read_or_that_is_empty_is_refused() {
    run(async {
        let place = Place::new();
        std::fs::set_permissions(&place.secret, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let refused = |path: &Path| {
            let process = place.start(Some(path));
            let log = process.log.clone();
            let (status, _) = process.finish(Duration::from_secs(30));
            (status.code(), log.text())
        };
        let (status, log) = refused(&place.secret);
        assert_eq!(status, Some(2), "{log}");
        assert!(log.contains("chmod 600") && !log.contains(SECRET), "{log}");
        let empty = place.operator.secret_file("empty", "\n");
        let (status, log) = refused(Path::new(&empty));
        assert_eq!(status, Some(2), "{log}");
        assert!(log.contains("PROPUSK_BOOTSTRAP_ADMIN_SECRET_FILE") && log.contains("empty"), "{log}");
        let (status, log) = refused(&place.operator.path("missing"));
        assert_eq!(status, Some(2), "{log}");
        assert!(!place.operator.path("authority.db").exists(), "nothing was made");
    });
}
