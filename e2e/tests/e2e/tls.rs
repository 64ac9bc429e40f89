//! The whole system over TLS: every listener, and every call from part to part.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::http::{Http, certificate_of};
use e2e::process::{Log, Process, send};
use e2e::system::{Options, System, product};
use e2e::{eventually_async, run};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A certificate authority of the test's own, and the files of a pair that it signed.
struct Files {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca_pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.crt"), &ca_pem).unwrap();
        let files = Self { folder, issuer: Issuer::new(params, key), ca_pem };
        files.renew("127.0.0.1");
        files
    }

    /// Another pair, for that name, in the same files; the certificate.
    fn renew(&self, name: &str) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.cert(), signed.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
        std::fs::set_permissions(self.key(), std::fs::Permissions::from_mode(0o600)).unwrap();
        signed.der().to_vec()
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Told to the system.
    fn options(&self, options: Options) -> Options {
        let sets = [("tls.cert", self.cert()), ("tls.key", self.key()), ("tls.ca", self.ca())];
        sets.iter().fold(options, |options, (key, path)| options.set(key, &path.display().to_string()))
    }

    /// A client that trusts the test's authority.
    fn client(&self) -> Http {
        Http::trusting(&self.ca_pem)
    }
}

/// Alice signs in for `cars` and buys one by the gateway and one past it; and posts something.
async fn alice_goes_shopping(system: &System, http: &Http) {
    let alice = system.ready.users.iter().find(|user| user.username == "alice").expect("alice");
    let password = alice.password.clone().expect("first start");
    let body = json!({"username": "alice", "password": password, "audience": "cars"});
    let token = http.post(&system.authority("/auth/login")).json(&body).send().await.expect(200).field("access_token");
    let cars = http.get(&system.gateway("/cars")).bearer(&token).send().await.expect(200).json();
    let cars = cars.as_array().expect("a list");
    let free = cars.iter().filter(|car| car["owner_id"].is_null());
    let free: Vec<&str> = free.map(|car| car["car_id"].as_str().expect("an id")).collect();
    for url in [system.gateway("/cars"), system.service("cars", "/cars")].iter().zip(free) {
        let bought = http.post(&format!("{}/{}/buy", url.0, url.1)).bearer(&token).send().await.expect(200);
        assert_eq!(bought.json()["owner_id"].as_str(), alice.id.as_deref());
        assert!(bought.header("propusk-decision").starts_with("class=elite;"), "{bought}");
    }
    // The author comes from another service.
    let post = http.post(&system.gateway("/posts")).basic("alice", &password).json(&json!({"content": "hello"}));
    post.send().await.expect(201);
    let posts = http.get(&system.gateway("/posts")).basic("alice", &password).send().await.expect(200).json();
    assert_eq!(posts[0]["user_data"]["username"], "alice", "{posts}");
}

#[test]
fn every_listener_speaks_tls_and_nothing_else() {
    run(async {
        let files = Files::new();
        let system = System::start(&files.options(Options::new()));
        assert!(system.ready.issuer.starts_with("https://127.0.0.1:"), "{}", system.ready.issuer);
        alice_goes_shopping(&system, &files.client()).await;
        let ready = &system.ready;
        let all = [&ready.authority, &ready.gateway, &ready.feed].into_iter().chain(ready.services.values());
        for url in all {
            let address = url.strip_prefix("https://").unwrap_or_else(|| panic!("not https: {url}"));
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /-/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
            drop(closed.expect("the connection is closed"));
            assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{url} answers plain HTTP: {answer:?}");
        }
        let stranger = system.http.get(&system.authority("/-/live")).try_send().await;
        assert!(stranger.is_err(), "who does not trust the test's authority does not trust the system");
        assert_eq!(system.stop(Signal::SIGTERM, Duration::from_secs(5)).code(), Some(0));
    });
}

#[test]
fn processes_of_their_own_trust_each_other_by_tls() {
    run(async {
        let files = Files::new();
        let system = System::start(&files.options(Options::new().split()));
        let http = files.client();
        alice_goes_shopping(&system, &http).await;
        system.kill("cars");
        system.restart("cars");
        let ready = system.service("cars", "/-/ready");
        eventually_async("cars is ready again", Duration::from_secs(60), || async {
            let answer = http.get(&ready).try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        assert_eq!(system.stop(Signal::SIGTERM, Duration::from_secs(5)).code(), Some(0));
    });
}

#[test]
fn the_tour_and_the_commands_find_and_trust_a_system_with_tls() {
    run(async {
        let files = Files::new();
        let folder = tempfile::tempdir().unwrap();
        let system = System::start(&files.options(Options::on(&folder.path().join("data"))));
        let password = folder.path().join("admin.password");
        std::fs::write(&password, system.ready.admin.password.as_deref().unwrap()).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (data, password) = (system.ready.data.to_str().unwrap(), password.to_str().unwrap());
        let command = |arguments: &[&str]| {
            let mut command = product();
            command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").args(arguments);
            ends(&mut command)
        };
        let (code, text) = command(&["demo", "--data", data, "--admin-password-file", password]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.matches('✓').count() >= 9 && !text.contains('✗'), "{text}");

        // What the running system says is to be trusted is trusted; elsewhere it is told.
        let (code, text) = command(&["login", "--data", data, "--password-file", password]);
        assert_eq!(code, Some(0), "{text}");
        let (code, text) = command(&["user", "list", "--data", data]);
        assert!(code == Some(0) && text.contains("alice"), "{text}");
        let (ca, authority) = (files.ca(), system.ready.authority.as_str());
        let (code, text) = command(&["user", "list", "--authority", authority, "--ca", ca.to_str().unwrap()]);
        assert!(code == Some(0) && text.contains("alice"), "{text}");
        let (code, text) = command(&["user", "list", "--authority", authority]);
        assert_eq!(code, Some(5), "{text}");
    });
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    run(async {
        let files = Files::new();
        let system = System::start(&files.options(Options::new()));
        let every = [system.authority("/-/live"), system.gateway("/-/live"), system.service("users", "/-/live")];
        let first = certificate_of(&every[0], &files.ca_pem).await;
        // Half of a pair is no pair.
        std::fs::write(files.cert(), "-----BEGIN CERTIFICATE-----\n").unwrap();
        system.log.line_with(&["the certificate is kept"]);
        assert_eq!(certificate_of(&every[0], &files.ca_pem).await, first);
        // Noticed by itself, then at a signal.
        for by_signal in [false, true] {
            let renewed = files.renew("127.0.0.1");
            if by_signal {
                send(system.main_pid(), Signal::SIGHUP);
            }
            for url in &every {
                eventually_async(&format!("the new certificate at {url}"), Duration::from_secs(20), || async {
                    (certificate_of(url, &files.ca_pem).await == renewed).then_some(())
                })
                .await;
            }
        }
        alice_goes_shopping(&system, &files.client()).await;
    });
}

#[test]
fn what_cannot_work_is_told_at_the_start() {
    run(async {
        let (files, elsewhere) = (Files::new(), Files::new());
        let up = |files: &[(&str, &Path)], others: &[&str]| {
            let files = files.iter().map(|(key, path)| format!("{key}={}", path.display()));
            let mut command = product();
            command.args(["up", "--ephemeral"]);
            for set in files.chain(others.iter().map(|&other| other.to_owned())) {
                command.args(["--set", &set]);
            }
            ends(&mut command)
        };
        // The feed never leaves the machine in the clear, whatever somebody says.
        for insecure in ["insecure_http=false", "insecure_http=true"] {
            let (code, text) = up(&[], &["listen.feed=0.0.0.0:0", insecure]);
            assert_eq!(code, Some(2), "{text}");
            let words = ["listen.feed: 0.0.0.0:0 is reached from other machines", "set tls.cert and tls.key"];
            assert!(words.iter().all(|words| text.contains(words)), "{text}");
        }
        let (code, text) = up(&[], &["listen.gateway=0.0.0.0:0"]);
        assert!(code == Some(2) && text.contains("listen.gateway"), "{text}");

        let (cert, key) = (files.cert(), files.key());
        let (code, text) = up(&[("tls.cert", &cert)], &[]);
        assert!(code == Some(2) && text.contains("belong together"), "{text}");
        let (code, text) = up(&[("tls.cert", &cert), ("tls.key", &elsewhere.key())], &[]);
        assert!(code == Some(2) && text.contains("not that of the first certificate"), "{text}");
        let (code, text) = up(&[("tls.cert", &cert), ("tls.key", &key), ("tls.ca", &elsewhere.ca())], &[]);
        assert!(code == Some(1) && text.contains("do not trust each other"), "{text}");
        files.renew("id.example");
        let (code, text) = up(&[("tls.cert", &cert), ("tls.key", &key), ("tls.ca", &files.ca())], &[]);
        assert!(code == Some(1) && text.contains("valid for 127.0.0.1"), "{text}");
    });
}

/// Exit code, and all output, of a command that ends by itself.
fn ends(command: &mut Command) -> (Option<i32>, String) {
    let log = Log::default();
    let (status, text) = Process::start(command, &log).finish(Duration::from_secs(180));
    (status.code(), format!("{text}\n{}", log.text()))
}
