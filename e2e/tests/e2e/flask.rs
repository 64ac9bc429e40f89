//! A service in another language (Flask and PyJWT, in `e2e/flask`) verifies our tokens with the PEM address alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use e2e::forge::{self, Key, claims, header, unsigned, with};
use e2e::http::Answer;
use e2e::leak::Leaked;
use e2e::process::{Log, Process, root};
use e2e::run;
use e2e::stand_in::StandIn;
use e2e::system::System;
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// The interpreter that has what the service needs; `None` where there is no Python.
pub(crate) static PYTHON: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| e2e::python::environment("flask", "services in another language"));

/// The service, running.
pub(crate) struct Flask {
    url: String,
    process: Process,
}

impl Flask {
    pub(crate) fn start(python: &Path, issuer: &str, audience: &str, pem: &str, refetch_seconds: &str) -> Self {
        let mut command = Command::new(python);
        command
            .arg(root().join("e2e/flask/app.py"))
            .env("PROPUSK_ISSUER", issuer)
            .env("PROPUSK_AUDIENCE", audience)
            .env("PROPUSK_PEM", pem)
            .env("PROPUSK_REFETCH_SECONDS", refetch_seconds)
            .env("NO_PROXY", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let log = Log::default();
        let mut process = Process::start(&mut command, &log);
        let line = process.first_line(Duration::from_secs(60));
        let line = line.unwrap_or_else(|| panic!("no address; the log:\n{}", log.text()));
        Self { url: format!("{}/whoami", line.trim()), process }
    }

    pub(crate) async fn ask(&self, system: &System, token: &str) -> Answer {
        system.http.get(&self.url).bearer(token).send().await
    }

    async fn must_refuse(&self, system: &System, what: &str, token: &str) {
        let answer = self.ask(system, token).await;
        assert_eq!(answer.status, 401, "{what}\n{answer}\n{}", self.process.log.text());
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{what}\n{answer}");
    }
}

#[test]
fn another_language_verifies_with_the_pem_address_alone() {
    run(async {
        let Some(python) = PYTHON.as_deref() else { return };
        let system = &*PLAIN;
        let person = system.register("flask").await;
        for (audience, other) in [("users", "posts"), ("posts", "users"), ("propusk", "cars")] {
            let pem = system.authority(&format!("/keys/{audience}/public.pem"));
            let flask = Flask::start(python, &system.ready.issuer, audience, &pem, "0.1");
            let token = system.login(&person, audience).await.access;
            let seen = flask.ask(system, &token).await.expect(200);
            assert_eq!(seen.field("sub"), person.id);
            assert_eq!(seen.field("aud"), audience);
            system.http.get(&flask.url).send().await.expect(401);
            refuses_what_is_wrong(system, &flask, audience, &token).await;
            let elsewhere = system.login(&person, other).await.access;
            flask.must_refuse(system, "another audience's token", &elsewhere).await;
            // None of that made it forget the good key.
            flask.ask(system, &token).await.expect(200);
        }
    });
}

async fn refuses_what_is_wrong(system: &System, flask: &Flask, audience: &str, token: &str) {
    let (head, good) = (header(token), claims(token));
    let pem = system.http.get(&system.authority(&format!("/keys/{audience}/public.pem"))).send().await.text();
    let leaked = Leaked::of(system, audience);
    let signed = |claims: &Value| leaked.key.sign(&head, claims);
    let hour_ago = good["iat"].as_u64().unwrap() - 3_600;
    let wrong = [
        ("no signature", format!("{}.", unsigned(&with(&head, "alg", json!("none")), &good))),
        ("the public key as a secret", Key::Hmac(pem.into_bytes()).sign(&with(&head, "alg", json!("HS256")), &good)),
        ("a key of one's own", Key::ed25519().sign(&head, &good)),
        ("another RSA key", Key::rsa().sign(&with(&head, "alg", json!("RS256")), &good)),
        ("half of it", token[..token.len() / 2].to_owned()),
        ("no token", "abc".to_owned()),
        ("another kind", leaked.key.sign(&with(&head, "typ", json!("JWT")), &good)),
        ("past its end", signed(&with(&good, "exp", json!(hour_ago)))),
        ("without an end", signed(&with(&good, "exp", Value::Null))),
        ("a text as its end", signed(&with(&good, "exp", json!("9999999999")))),
        ("another issuer", signed(&with(&good, "iss", json!("https://evil.example")))),
        ("another audience", signed(&with(&good, "aud", json!("elsewhere")))),
        ("several audiences", signed(&with(&good, "aud", json!([audience, "elsewhere"])))),
    ];
    for (what, token) in &wrong {
        flask.must_refuse(system, what, token).await;
    }
    let own = signed(&good);
    flask.ask(system, &own).await.expect(200);
}

#[test]
fn a_new_key_is_fetched_when_a_signature_fails_and_the_last_two_stay() {
    run(async {
        let Some(python) = PYTHON.as_deref() else { return };
        let system = &*PLAIN;
        let keys: Vec<Key> = (0..3).map(|_| Key::ed25519()).collect();
        let authority = StandIn::start().await;
        let publish = |key: &Key| authority.page("/public.pem", "application/x-pem-file", key.pem());
        let now = forge::now();
        let claims = json!({
            "iss": "https://id.example", "aud": "users", "sub": "u_somebody", "client_id": "auth-api", "iat": now,
            "exp": now + 300, "jti": "t_1", "roles": [],
        });
        let tokens: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(n, key)| key.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": format!("k{n}")}), &claims))
            .collect();

        let flask = Flask::start(python, "https://id.example", "users", &authority.url("/public.pem"), "0.5");
        // Without any key nothing can be said.
        assert_eq!(flask.ask(system, &tokens[0]).await.expect(503).header("retry-after"), "1");
        publish(&keys[0]);
        until_accepted(system, &flask, &tokens[0]).await;
        publish(&keys[1]);
        until_accepted(system, &flask, &tokens[1]).await;
        flask.ask(system, &tokens[0]).await.expect(200);
        publish(&keys[2]);
        until_accepted(system, &flask, &tokens[2]).await;
        flask.ask(system, &tokens[1]).await.expect(200);
        flask.must_refuse(system, "the key before the last two", &tokens[0]).await;

        // A storm of bad signatures does not become a storm of fetches.
        let before = authority.heads().len();
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            flask.must_refuse(system, "a key that never was", &Key::ed25519().sign(&header(&tokens[2]), &claims)).await;
        }
        let allowed = begun.elapsed().as_millis() / 500 + 1;
        let fetched = authority.heads().len() - before;
        assert!(u128::try_from(fetched).unwrap() <= allowed, "{fetched} fetches, {allowed} allowed");
        // The authority away takes nothing back.
        drop(authority);
        e2e::time_passes(Duration::from_millis(600)).await;
        flask.must_refuse(system, "a bad signature meanwhile", &tokens[0]).await;
        flask.ask(system, &tokens[2]).await.expect(200);
    });
}

async fn until_accepted(system: &System, flask: &Flask, token: &str) {
    e2e::eventually_async("the new key is fetched", Duration::from_secs(10), || async {
        let answer = flask.ask(system, token).await;
        (answer.status == 200).then_some(())
    })
    .await;
}
