//! Tokens that are wrong although their signature is right. The test takes the place of the authority: a service that is
//! started anew takes its keys from there, so that the real process decides on whatever the test signs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::forge::{self, Key, b64, with};
use e2e::http::Refusal;
use e2e::run;
use e2e::stand_in::StandIn;
use e2e::system::{Options, System, product};
use serde_json::{Value, json};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn good_claims(issuer: &str, audience: &str) -> Value {
    json!({
        "iss": issuer, "sub": "u_somebody", "aud": audience, "client_id": "auth-api", "iat": now(), "exp": now() + 300,
        "jti": "t_1", "epoch": 1, "roles": ["buyer"], "sid": "s_1",
    })
}

/// What is wrong, the claims, the refusal, and the reasons of which the log must name one.
type Case = (String, Value, Refusal, &'static [&'static str]);

fn wrong_claims(good: &Value) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut case =
        |what: &str, claims: Value, refusal, reasons| cases.push((what.to_owned(), claims, refusal, reasons));
    for (member, reason) in [
        ("iss", &["iss."] as &[&str]),
        ("sub", &["sub."]),
        ("aud", &["aud."]),
        ("client_id", &["client_id.", "client-id."]),
        ("iat", &["iat."]),
        ("exp", &["exp."]),
        ("jti", &["jti."]),
        ("epoch", &["epoch."]),
    ] {
        case(&format!("{member} is missing"), with(good, member, Value::Null), Refusal::Invalid, reason);
    }
    for (member, values, reason) in [
        (
            "exp",
            vec![json!("9999999999"), json!([9_999_999_999_u64]), json!(true), json!(-1), json!(1e300)],
            &["exp."] as &[&str],
        ),
        ("iat", vec![json!("1"), json!({}), json!(false)], &["iat."]),
        ("nbf", vec![json!("0"), json!([0])], &["nbf."]),
        ("iss", vec![json!(""), json!("https://evil.example"), json!(["x"]), json!(7)], &["iss."]),
        ("aud", vec![json!("users"), json!("CARS"), json!("cars "), json!(""), json!(5)], &["aud."]),
        ("aud", vec![json!(["users"]), json!([])], &["aud."]),
        ("sub", vec![json!(""), json!(1), json!(["u_somebody"])], &["sub."]),
        ("jti", vec![json!(1)], &["jti."]),
        ("epoch", vec![json!("1"), json!(-1), json!(1.5)], &["epoch."]),
        ("roles", vec![json!("buyer"), json!([1]), json!({"buyer": true})], &["roles."]),
        ("act", vec![json!("cars"), json!({}), json!({"sub": 1})], &["act."]),
        ("sid", vec![json!(1)], &["sid."]),
    ] {
        for value in values {
            let what = format!("{member} is {value}");
            case(&what, with(good, member, value), Refusal::Invalid, reason);
        }
    }
    let deep = (0..40).fold(json!({"sub": "a"}), |inner, _| json!({"sub": "a", "act": inner}));
    case("a chain of forty actors", with(good, "act", deep), Refusal::Invalid, &["act."]);
    case("ended a minute ago", with(good, "exp", json!(now() - 60)), Refusal::Expired, &["exp.past"]);
    case("ended in 1970", with(good, "exp", json!(0)), Refusal::Expired, &["exp.past"]);
    case("begins in a minute", with(good, "nbf", json!(now() + 60)), Refusal::Invalid, &["nbf.future"]);
    case("made in a minute", with(good, "iat", json!(now() + 60)), Refusal::Invalid, &["iat.future"]);
    cases
}

/// Headers that are wrong although the key and the signature are right.
fn wrong_headers(good: &Value) -> Vec<(String, Value)> {
    let mut cases = Vec::new();
    for typ in ["JWT", "jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "txntoken+jwt", "at+jwt2", "", "rt+jwt"] {
        cases.push((format!("typ is {typ:?}"), with(good, "typ", json!(typ))));
    }
    cases.push(("typ is missing".into(), with(good, "typ", Value::Null)));
    cases.push(("typ is a list".into(), with(good, "typ", json!(["at+jwt"]))));
    cases.push(("crit".into(), with(good, "crit", json!(["exp"]))));
    cases.push(("b64 and crit".into(), with(&with(good, "b64", json!(false)), "crit", json!(["b64"]))));
    cases
}

#[test]
fn a_service_checks_every_claim_of_a_token_with_a_good_signature() {
    run(async {
        let system = System::start(&Options::new().split());
        let issuer = system.ready.issuer.clone();
        let key = Key::ed25519();
        let kid = "signed-by-the-test";
        system.kill("authority");
        let address = system.ready.authority.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let authority = StandIn::start_on(&address).await;
        authority.page("/keys/cars/jwks.json", "application/json", json!({"keys": [key.jwk(kid)]}).to_string());
        system.kill("cars");
        system.restart("cars");

        let head = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
        let good = good_claims(&issuer, "cars");
        let direct = system.service("cars", "/cars/-/whoami");
        e2e::eventually_async("the service knows the test's key", Duration::from_secs(45), || async {
            let token = key.sign(&head, &good_claims(&issuer, "cars"));
            let answer = system.http.get(&direct).bearer(&token).try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;

        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            let token = key.sign(&with(&head, "typ", json!(typ)), &good);
            system.http.get(&direct).bearer(&token).send().await.expect(200);
        }
        let alone = key.sign(&head, &with(&good, "aud", json!(["cars"])));
        let answer = system.http.get(&direct).bearer(&alone).send().await;
        assert!(
            answer.status == 200 || answer.status == 401,
            "a list of one is a form that the standard allows\n{answer}"
        );
        for (what, claims, refusal, reasons) in wrong_claims(&good) {
            let answer = system.http.get(&direct).bearer(&key.sign(&head, &claims)).send().await;
            eprintln!("{what}: {}", answer.status);
            let answer = answer.expect_refusal(refusal);
            let line = system.log.line_with(&[&answer.id, "reason"]);
            assert!(reasons.iter().any(|reason| line.contains(reason)), "{what}: none of {reasons:?} in {line}");
        }
        for (what, header) in wrong_headers(&head) {
            let answer = system.http.get(&direct).bearer(&key.sign(&header, &good)).send().await;
            eprintln!("{what}: {}", answer.status);
            let answer = answer.expect_refusal(Refusal::Invalid);
            system.log.line_with(&[&answer.id, "header."]);
        }
        for (what, claims) in repeated_members(&good) {
            let signed = forge::unsigned_raw(head.to_string().as_bytes(), claims.as_bytes());
            let answer = system.http.get(&direct).bearer(&key.sign_text(&signed)).send().await;
            eprintln!("{what}: {}", answer.status);
            answer.expect_refusal(Refusal::Invalid);
        }
        // An elite endpoint cannot ask the authority, which is gone: it says so instead of guessing, and a "no" that
        // it knows by itself goes first.
        let elite = system.service("cars", "/cars/-/whoami/elite");
        system.http.get(&elite).bearer(&key.sign(&head, &good)).send().await.expect_refusal(Refusal::Unknown);
        let expired = key.sign(&head, &with(&good, "exp", json!(now() - 60)));
        system.http.get(&elite).bearer(&expired).send().await.expect_refusal(Refusal::Expired);
    });
}

/// Claim sets that two JSON readers may understand differently.
fn repeated_members(good: &Value) -> Vec<(&'static str, String)> {
    let text = good.to_string();
    let inside = &text[1..text.len() - 1];
    vec![
        ("aud twice, wrong first", format!("{{\"aud\":\"users\",{inside}}}")),
        ("aud twice, wrong last", format!("{{{inside},\"aud\":\"users\"}}")),
        ("exp twice", format!("{{{inside},\"exp\":9999999999}}")),
        ("roles twice", format!("{{{inside},\"roles\":[\"admin\"]}}")),
        ("something after the end", format!("{text}{{}}")),
        ("a list", format!("[{text}]")),
        ("a string", "\"u_somebody\"".to_owned()),
        ("not UTF-8 as text", format!("{{{inside},\"x\":\"\\ud800\"}}")),
    ]
}

#[test]
fn inspect_says_the_same_as_a_service() {
    let issuer = "https://id.example.com";
    let key = Key::ed25519();
    let folder = tempfile::tempdir().unwrap();
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, json!({"keys": [key.jwk("k1")]}).to_string()).unwrap();
    let head = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"});
    let good = good_claims(issuer, "cars");
    let cases = wrong_claims(&good);
    let mut tokens = vec![key.sign(&head, &good)];
    tokens.extend(cases.iter().map(|(_, claims, _, _)| key.sign(&head, claims)));
    let tampered = format!("{}.{}", forge::unsigned(&head, &with(&good, "sub", json!("u_x"))), b64(&[0; 64]));
    tokens.push(tampered);
    let lines = folder.path().join("tokens");
    std::fs::write(&lines, tokens.join("\n") + "\n").unwrap();

    let output = product()
        .args(["token", "inspect", "--issuer", issuer, "--audience", "cars", "--lines", "--jwks"])
        .arg(&jwks)
        .arg("-")
        .stdin(std::fs::File::open(&lines).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), tokens.len(), "an answer for each line");
    assert_eq!(answers[0]["decision"], "accepted", "{}", answers[0]);
    assert_eq!(answers[0]["signature"], "valid");
    for ((what, _, _, reasons), answer) in cases.iter().zip(&answers[1..]) {
        assert_eq!(answer["decision"], "refused", "{what}: {answer}");
        assert_eq!(answer["signature"], "valid", "{what}: whatever the claims say\n{answer}");
        let reason = answer["reason"].as_str().unwrap();
        assert!(reasons.iter().any(|wanted| reason.contains(wanted)), "{what}: {reason}, not {reasons:?}");
    }
    let last = answers.last().unwrap();
    assert_eq!(last["decision"], "refused", "{last}");
    assert_eq!(last["signature"], "invalid", "{last}");

    let one = product()
        .args(["token", "inspect", "--issuer", issuer, "--audience", "users", "--jwks"])
        .arg(&jwks)
        .arg(&tokens[0])
        .output()
        .unwrap();
    assert_eq!(one.status.code(), Some(1), "refused, so the status is 1");
    let answer: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert!(answer["reason"].as_str().unwrap().starts_with("aud."), "{answer}");
    // As of a time: good in its life, past after it.
    let late = product()
        .args(["token", "inspect", "--issuer", issuer, "--audience", "cars", "--at", "2100-01-01T00:00:00Z", "--jwks"])
        .arg(&jwks)
        .arg(&tokens[0])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&late.stdout).unwrap();
    assert_eq!((late.status.code(), answer["reason"].as_str()), (Some(1), Some("exp.past")), "{answer}");
}
