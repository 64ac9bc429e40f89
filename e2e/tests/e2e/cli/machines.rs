//! Services, clients, exchange rules, keys, tokens.

use std::path::Path;

use e2e::http::{Answer, Refusal};
use e2e::people::Tokens;
use e2e::system::{System, product};
use e2e::{run, unique};
use serde_json::json;

use super::{Operator, items, list, mode, printed, problem, texts};
use crate::shared::PLAIN;

/// `client_credentials` with a secret that the ready line does not have.
async fn token_of(system: &System, client: &str, secret: &str, audience: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("audience", audience)];
    system.http.post(&system.authority("/oauth/token")).basic(client, secret).form(&form).send().await
}

#[test]
fn a_service_from_its_first_key_to_its_last() {
    run(async {
        let operator = Operator::admin(&PLAIN).await;
        let name = unique("service");
        let made = operator.done(&["service", "create", &name, "--alg", "Ed25519", "--access-ttl-s", "60"]);
        assert_eq!((&made["id"], &made["access_ttl_s"]), (&json!(name), &json!(60)), "{made}");
        assert_eq!(made["enforcement"]["outcome"], "enforced", "{made}");
        problem(&operator.json(&["service", "create", &name]), 1);
        problem(&operator.json(&["service", "create", &unique("odd"), "--alg", "none"]), 1);
        let uri = format!("https://{name}.example.com/");
        let changed = operator.done(&["service", "change", &name, "--resource-uri", &uri, "--no-access-ttl"]);
        assert_eq!((&changed["resource_uri"], &changed["access_ttl_s"]), (&json!(uri), &json!(null)), "{changed}");
        let stale = made["etag"].as_str().unwrap();
        problem(&operator.json(&["service", "change", &name, "--access-ttl-s", "9", "--if-match", stale]), 1);
        problem(&operator.json(&["service", "delete", &name, "--if-match", stale]), 1);
        assert_eq!(operator.done(&["service", "show", &name])["resource_uri"], uri.as_str());
        assert!(operator.told(&["service", "list"]).contains(&name));

        let keys = operator.done(&["keys", "list", &name]);
        let active: Vec<_> = items(&keys).iter().filter(|key| key["state"] == "active").collect();
        assert_eq!(active.len(), 1, "{keys}");
        let kid = active[0]["kid"].as_str().unwrap();
        let next = operator.done(&["keys", "rotate", &name]);
        assert_ne!(next["kid"], kid, "{next}");
        assert_eq!(operator.done(&["keys", "revoke", kid])["outcome"], "enforced");
        let keys = operator.done(&["keys", "list", &name]);
        let revoked = items(&keys).iter().find(|key| key["kid"] == kid);
        assert!(revoked.is_none_or(|key| key["state"] == "revoked"), "{keys}");
        problem(&operator.json(&["keys", "revoke", "no-such-key"]), 1);

        assert_eq!(operator.done(&["service", "delete", &name])["outcome"], "enforced");
        problem(&operator.json(&["service", "show", &name]), 1);
        problem(&operator.json(&["keys", "list", &name]), 1);
    });
}

#[test]
fn a_client_and_its_secrets() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("client");
        // Without a file the secret is printed, this once.
        let made = operator.done(&["client", "create", &name, "--audience", "cars"]);
        let first = made["client_secret"].as_str().unwrap().to_owned();
        assert!(first.starts_with("psk_"), "{made}");
        token_of(system, &name, &first, "cars").await.expect(200);
        let shown = operator.done(&["client", "show", &name]);
        assert_eq!(shown.get("client_secret"), None, "{shown}");
        assert_eq!(list(&shown, "grant_types"), ["client_credentials"]);
        assert!(operator.told(&["client", "list"]).contains(&name));

        // With a file it is written, and not printed.
        let file = operator.path("client.secret");
        let path = file.display().to_string();
        let output = operator.json(&["client", "new-secret", &name, "--overlap-s", "600", "--secret-file", &path]);
        let report = printed(&output, 0);
        assert_eq!((&report["secret_file"], report.get("client_secret")), (&json!(path), None), "{report}");
        let second = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        assert!(second.starts_with("psk_") && second != first && mode(&file) == 0o600);
        let (out, err) = texts(&output);
        assert!(!out.contains(&second) && !err.contains(&second));
        for secret in [&first, &second] {
            token_of(system, &name, secret, "cars").await.expect(200);
        }
        // In the place of the one before; that one ends at once.
        operator.done(&["client", "new-secret", &name, "--secret-file", &path]);
        let third = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        token_of(system, &name, &second, "cars").await.expect(401);
        token_of(system, &name, &third, "cars").await.expect(200);

        let changed = operator.done(&["client", "change", &name, "--name", "A name", "--audience", "posts"]);
        assert_eq!((&changed["client_name"], list(&changed, "audiences")), (&json!("A name"), vec!["posts"]));
        token_of(system, &name, &third, "cars").await.expect(400);
        let etag = made["etag"].as_str().unwrap();
        problem(&operator.json(&["client", "change", &name, "--name", "late", "--if-match", etag]), 1);
        problem(&operator.json(&["client", "delete", &name, "--if-match", etag]), 1);

        let token = Tokens::of(token_of(system, &name, &third, "posts").await).access;
        system.elite("posts", &token).await.expect(200);
        assert_eq!(operator.done(&["client", "revoke-tokens", &name])["outcome"], "enforced");
        system.elite("posts", &token).await.expect_refusal(Refusal::Revoked);
        operator.done(&["client", "disable", &name]);
        token_of(system, &name, &third, "posts").await.expect(401);
        operator.done(&["client", "enable", &name]);
        token_of(system, &name, &third, "posts").await.expect(200);
        assert_eq!(operator.done(&["client", "delete", &name])["outcome"], "enforced");
        token_of(system, &name, &third, "posts").await.expect(401);
        problem(&operator.json(&["client", "show", &name]), 1);
        // An id is not given again; a client without an id gets one.
        problem(&operator.json(&["client", "create", &name, "--audience", "cars"]), 1);
        let unnamed = operator.done(&["client", "create", "--name", "Some program", "--audience", "cars"]);
        assert!(unnamed["client_id"].as_str().is_some_and(|id| !id.is_empty()), "{unnamed}");
        problem(&operator.json(&["client", "create"]), 2);
    });
}

/// A secret that is made and cannot be kept is lost: whether the file can be written is known before.
#[test]
fn no_secret_is_made_for_a_file_that_cannot_be_written() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let name = unique("unwritable");
        let taken = operator.secret_file("taken", "the secret of something else");
        let nowhere = operator.path("nowhere/secret").display().to_string();
        for path in [&taken, &nowhere] {
            problem(&operator.json(&["client", "create", &name, "--audience", "cars", "--secret-file", path]), 2);
        }
        problem(&operator.json(&["client", "show", &name]), 1);
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "the secret of something else");
        let secret = operator.path("secret").display().to_string();
        operator.done(&["client", "create", &name, "--audience", "cars", "--secret-file", &secret]);
        problem(&operator.json(&["client", "new-secret", &name, "--secret-file", &nowhere]), 2);
        let kept = std::fs::read_to_string(Path::new(&secret)).unwrap();
        token_of(system, &name, kept.trim(), "cars").await.expect(200);
        // Nothing is left behind by what was refused.
        let left: Vec<_> =
            std::fs::read_dir(operator.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().starts_with(".nowhere")
                    && !name.to_string_lossy().starts_with(".taken")),
            "{left:?}"
        );
    });
}

#[test]
fn an_exchange_rule_opens_a_way_and_closes_it() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let (name, person) = (unique("exchanger"), system.register("exchanged").await);
        let grant = e2e::people::EXCHANGE;
        // A service exchanges, as the client of its own name, what was made for it.
        operator.done(&["service", "create", &name]);
        let made = operator.done(&["client", "create", &name, "--grant", grant, "--audience", "users"]);
        let secret = made["client_secret"].as_str().unwrap();
        let token = system.login(&person, &name).await.access;
        let exchange = async || {
            let form = [
                ("grant_type", grant),
                ("subject_token", token.as_str()),
                ("subject_token_type", e2e::people::ACCESS_TOKEN_TYPE),
                ("audience", "users"),
            ];
            system.http.post(&system.authority("/oauth/token")).basic(&name, secret).form(&form).send().await
        };
        exchange().await.expect(400);
        let rule = operator.done(&["exchange-rule", "put", &name, "users", "--from", &name, "--subject", "user"]);
        assert_eq!(rule["outcome"], "enforced", "{rule}");
        exchange().await.expect(200);
        operator.done(&["exchange-rule", "delete", &name, "users"]);
        exchange().await.expect(400);
        problem(&operator.json(&["exchange-rule", "delete", &name, "users"]), 1);
        operator.done(&["client", "delete", &name]);
        operator.done(&["service", "delete", &name]);
    });
}

#[test]
fn one_token_is_refused_and_never_an_argument() {
    run(async {
        let (system, operator) = (&*PLAIN, Operator::admin(&PLAIN).await);
        let person = system.register("one-token").await;
        let by_input = system.login(&person, "cars").await.access;
        let by_file = system.login(&person, "cars").await.access;
        let by_id = system.login(&person, "cars").await.access;
        let untouched = system.login(&person, "cars").await.access;
        let revoked = operator.fed(&["token", "revoke"], &format!("{by_input}\n"));
        assert_eq!(printed(&revoked, 0)["outcome"], "enforced");
        let file = operator.secret_file("token", &by_file);
        operator.done(&["token", "revoke", "--token-file", &file]);
        let jti = e2e::forge::claims(&by_id)["jti"].as_str().unwrap().to_owned();
        operator.done(&["token", "revoke", "--jti", &jti]);
        for token in [&by_input, &by_file, &by_id] {
            system.elite("cars", token).await.expect_refusal(Refusal::Revoked);
        }
        system.elite("cars", &untouched).await.expect(200);
        problem(&operator.fed(&["token", "revoke"], ""), 2);
        problem(&operator.json(&["token", "revoke", &untouched]), 2);
        // A file that others can read is no place for a token.
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        problem(&operator.json(&["token", "revoke", "--token-file", &file]), 2);
    });
}

#[test]
fn every_verifier_is_listed() {
    run(async {
        let operator = Operator::admin(&PLAIN).await;
        let verifiers = operator.done(&["verifier", "list"]);
        let services: Vec<&str> =
            items(&verifiers).iter().map(|verifier| verifier["service"].as_str().unwrap()).collect();
        for service in ["users", "posts", "cars"] {
            assert!(services.contains(&service), "{verifiers}");
        }
    });
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
