//! Tokens that are wrong although their signature is right: the test signs them with the private key of an audience, as
//! somebody could who took the authority's files and its key-encryption key. It also shows how far one such key reaches.

use e2e::forge::{self, Key, b64, claims, header, now, with};
use e2e::http::Refusal;
use e2e::leak::Leaked;
use e2e::run;
use e2e::system::{System, product};
use serde_json::{Value, json};

use crate::shared::PLAIN;

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

/// Who decides on tokens of an audience: the service itself, and the gateway in front of it.
fn ordinary_endpoints(system: &System, audience: &str) -> Vec<String> {
    match audience {
        "propusk" => vec![system.authority("/auth/me")],
        service => {
            let path = format!("/{service}/-/whoami");
            vec![system.service(service, &path), system.gateway(&path)]
        }
    }
}

#[test]
fn every_claim_of_a_token_with_a_good_signature_is_checked() {
    run(async {
        let system = &*PLAIN;
        for audience in ["propusk", "posts", "cars"] {
            let leaked = Leaked::of(system, audience);
            let person = system.register("signed").await;
            let token = system.login(&person, audience).await.access;
            let (head, good) = (header(&token), claims(&token));
            assert_eq!(head["kid"], leaked.kid.as_str());
            for url in ordinary_endpoints(system, audience) {
                let own = leaked.key.sign(&head, &good);
                system.http.get(&url).bearer(&own).send().await.expect(200);
                claims_are_checked(system, &url, &leaked.key, &head, &good).await;
                headers_are_checked(system, &url, &leaked.key, &head, &good).await;
            }
        }
    });
}

async fn claims_are_checked(system: &System, url: &str, key: &Key, head: &Value, good: &Value) {
    let alone = key.sign(head, &with(good, "aud", json!([good["aud"]])));
    let answer = system.http.get(url).bearer(&alone).send().await;
    // A list of one is a form that the standard allows a verifier to accept.
    assert!(answer.status == 200 || answer.status == 401, "\n{answer}");
    for (what, claims, refusal, reasons) in wrong_claims(good) {
        let answer = system.http.get(url).bearer(&key.sign(head, &claims)).send().await;
        eprintln!("{url}: {what}: {}", answer.status);
        let answer = answer.expect_refusal(refusal);
        let line = system.log.line_with(&[&answer.id, "reason"]);
        assert!(reasons.iter().any(|reason| line.contains(reason)), "{what}: none of {reasons:?} in {line}");
    }
    for (what, claims) in repeated_members(good) {
        let signed = forge::unsigned_raw(head.to_string().as_bytes(), claims.as_bytes());
        let answer = system.http.get(url).bearer(&key.sign_text(&signed)).send().await;
        eprintln!("{url}: {what}: {}", answer.status);
        answer.expect_refusal(Refusal::Invalid);
    }
}

async fn headers_are_checked(system: &System, url: &str, key: &Key, head: &Value, good: &Value) {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        let token = key.sign(&with(head, "typ", json!(typ)), good);
        system.http.get(url).bearer(&token).send().await.expect(200);
    }
    for (what, header) in wrong_headers(head) {
        let answer = system.http.get(url).bearer(&key.sign(&header, good)).send().await;
        eprintln!("{url}: {what}: {}", answer.status);
        let answer = answer.expect_refusal(Refusal::Invalid);
        system.log.line_with(&[&answer.id, "header."]);
    }
}

#[test]
fn the_leaked_key_of_one_audience_signs_for_that_audience_only() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("leaked").await;
        let audiences = ["propusk", "users", "posts", "cars"];
        for leaking in audiences {
            let leaked = Leaked::of(system, leaking);
            let alg = json!(leaked.key.alg());
            for audience in audiences {
                let token = system.login(&person, audience).await.access;
                let (head, mut good) = (header(&token), claims(&token));
                // Never issued, so what is accepted is accepted for its signature.
                good["jti"] = json!("never-issued");
                let own_kid = with(&with(&head, "alg", alg.clone()), "kid", json!(leaked.kid));
                let their_kid = with(&head, "alg", alg.clone());
                for url in ordinary_endpoints(system, audience) {
                    for (what, head) in [("its own key id", &own_kid), ("the other's key id", &their_kid)] {
                        let forged = leaked.key.sign(head, &good);
                        let answer = system.http.get(&url).bearer(&forged).send().await;
                        eprintln!("{url}: the key of {leaking} under {what}: {}", answer.status);
                        if leaking == audience {
                            answer.expect(200);
                        } else {
                            // A key id that nobody could look up just now is "cannot tell", and no "yes" either.
                            let refusal = if answer.status == 503 { Refusal::Unknown } else { Refusal::Invalid };
                            answer.expect_refusal(refusal);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn a_forged_token_for_somebody_disabled_is_still_refused() {
    run(async {
        let system = &*PLAIN;
        let person = system.register("forged-for").await;
        let token = system.login(&person, "cars").await.access;
        let (head, mut good) = (header(&token), claims(&token));
        good["jti"] = json!("never-issued-either");
        let forged = Leaked::of(system, "cars").key.sign(&head, &good);
        system.elite("cars", &forged).await.expect(200);
        system.admin("POST", &format!("/users/{}/disable", person.id)).await.expect_enforced();
        system.elite("cars", &forged).await.expect_refusal(Refusal::Revoked);
        // Only somebody who also forges the epoch gets past that: so a leaked key is itself to be taken back.
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
