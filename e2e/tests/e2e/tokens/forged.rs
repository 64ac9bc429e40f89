//! Forgeries that the standards warn of: the algorithm, the key, the spelling, the length, the claims.

use e2e::forge::{self, Key, b64, claims, header, now, unsigned, with};
use e2e::http::Refusal;
use e2e::run;
use e2e::stand_in::StandIn;
use e2e::system::System;
use serde_json::{Value, json};

use super::{AUDIENCES, jwks, validators};
use crate::shared::PLAIN;

async fn pem(system: &System, audience: &str) -> String {
    system.http.get(&system.authority(&format!("/keys/{audience}/public.pem"))).send().await.expect(200).text()
}

/// The good token of an audience, taken apart.
struct Good {
    audience: &'static str,
    token: String,
    header: Value,
    claims: Value,
}

impl Good {
    async fn of(system: &System, audience: &'static str) -> Self {
        let person = system.register("forged").await;
        let token = system.login(&person, audience).await.access;
        Self { audience, header: header(&token), claims: claims(&token), token }
    }

    fn part(&self, index: usize) -> &str {
        self.token.split('.').nth(index).unwrap()
    }

    /// The same with other claims under the old signature.
    fn tampered(&self, member: &str, value: Value) -> String {
        let claims = with(&self.claims, member, value);
        format!("{}.{}.{}", self.part(0), b64(claims.to_string().as_bytes()), self.part(2))
    }

    /// The same with another header under the old signature.
    fn with_header(&self, member: &str, value: Value) -> String {
        let header = with(&self.header, member, value);
        format!("{}.{}.{}", b64(header.to_string().as_bytes()), self.part(1), self.part(2))
    }
}

/// Offers a list of forgeries to every validator of their audience.
async fn all_refuse(system: &System, good: &Good, forgeries: &[(String, String)], reasons: &[&str]) {
    for validator in validators(system).iter().filter(|validator| validator.audience == good.audience) {
        for (what, token) in forgeries {
            assert_ne!(token, &good.token, "{what}");
            validator.must_refuse(system, what, token, reasons).await;
        }
        validator.offer(system, &good.token).await.expect(validator.good);
    }
}

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    run(async {
        let system = &*PLAIN;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let mut forgeries = Vec::new();
            for alg in ["none", "nONe", "None", "NONE", "nOnE", ""] {
                let stripped = unsigned(&with(&good.header, "alg", json!(alg)), &good.claims);
                forgeries.push((format!("{alg:?} without a signature"), format!("{stripped}.")));
                forgeries.push((format!("{alg:?} with the old one"), format!("{stripped}.{}", good.part(2))));
                let bare = unsigned(&json!({"alg": alg, "typ": "at+jwt"}), &good.claims);
                forgeries.push((format!("{alg:?} without kid"), format!("{bare}.")));
            }
            all_refuse(system, &good, &forgeries, &["alg.", "header.", "form."]).await;
        }
    });
}

#[test]
fn a_public_key_is_no_shared_secret() {
    run(async {
        let system = &*PLAIN;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let pem = pem(system, audience).await;
            let jwks = jwks(system, audience).await;
            let kid = good.header["kid"].as_str().unwrap();
            let jwk = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).expect("the active key");
            let mut secrets = vec![
                ("the PEM", pem.clone().into_bytes()),
                ("the PEM without the last line end", pem.trim_end().as_bytes().to_vec()),
                ("the PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
                ("its DER", forge::der_of_pem(&pem)),
                ("the JWK", jwk.to_string().into_bytes()),
                ("the key set", jwks.to_string().into_bytes()),
                ("nothing", Vec::new()),
            ];
            for member in ["x", "n"] {
                if let Some(text) = jwk[member].as_str() {
                    secrets.push(("the key's text", text.as_bytes().to_vec()));
                    secrets.push(("the key's bytes", forge::unb64(text)));
                }
            }
            let mut forgeries = Vec::new();
            for (what, secret) in secrets {
                let key = Key::Hmac(secret);
                let header = with(&good.header, "alg", json!("HS256"));
                forgeries.push((format!("HS256 with {what}"), key.sign(&header, &good.claims)));
                let header = json!({"alg": "HS256", "typ": "at+jwt"});
                forgeries.push((format!("HS256 with {what}, no kid"), key.sign(&header, &good.claims)));
            }
            all_refuse(system, &good, &forgeries, &["alg.", "header.", "kid."]).await;
        }
    });
}

#[test]
fn an_algorithm_belongs_to_the_key_not_to_the_token() {
    run(async {
        let system = &*PLAIN;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let own = good.header["alg"].as_str().unwrap();
            let mut forgeries = Vec::new();
            for alg in ["RS256", "PS256", "ES256", "HS256", "EdDSA", "eddsa", "rs256", "Rs256", "HS512", "RS384"] {
                if alg != own {
                    forgeries.push((format!("{own} token called {alg}"), good.with_header("alg", json!(alg))));
                }
            }
            for alg in [json!(1), json!(null), json!(["EdDSA"]), json!({"alg": "EdDSA"})] {
                forgeries.push((format!("alg is {alg}"), good.with_header("alg", alg)));
            }
            for key in [Key::ed25519(), Key::rsa()] {
                let header = with(&good.header, "alg", json!(key.alg()));
                forgeries.push((format!("own {} key, real kid", key.alg()), key.sign(&header, &good.claims)));
            }
            all_refuse(system, &good, &forgeries, &["alg.", "signature.", "header.", "form."]).await;
        }
    });
}

#[test]
fn a_token_brings_no_key_of_its_own() {
    run(async {
        let system = &*PLAIN;
        let attacker = StandIn::start().await;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let key = Key::ed25519();
            let kid = good.header["kid"].clone();
            attacker.page("/jwks.json", "application/json", json!({"keys": [key.jwk("mine")]}).to_string());
            let base = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
            let jwk = key.jwk(kid.as_str().unwrap());
            let url = json!(attacker.url("/jwks.json"));
            let mut forgeries = Vec::new();
            for (member, value) in [
                ("jwk", jwk),
                ("jku", url.clone()),
                ("x5u", url),
                ("x5c", json!([forge::b64(b"a certificate")])),
                ("crit", json!(["exp"])),
                ("b64", json!(false)),
                ("zip", json!("DEF")),
            ] {
                forgeries
                    .push((format!("{member} in the header"), key.sign(&with(&base, member, value), &good.claims)));
            }
            let pem = key.pem();
            forgeries.push(("kid is a key".into(), key.sign(&with(&base, "kid", json!(pem)), &good.claims)));
            all_refuse(system, &good, &forgeries, &["signature.", "header.", "alg.", "kid."]).await;
        }
        assert_eq!(attacker.heads().len(), 0, "somebody followed an address that a token named");
    });
}

#[test]
fn a_kid_is_hostile_input() {
    run(async {
        let system = &*PLAIN;
        let good = Good::of(system, "cars").await;
        let key = Key::ed25519();
        for kid in
            ["../../etc/passwd", "' OR 1=1 --", "\u{0}", "*", "a\r\nX-Injected: 1", "пропуск", &"k".repeat(4000), ""]
        {
            let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
            let token = key.sign(&header, &good.claims);
            for validator in validators(system).iter().filter(|validator| validator.audience == "cars") {
                let answer = validator.offer(system, &token).await;
                // A key id that nobody could look up just now is "cannot tell"; a look-up that was answered is a "no".
                let refusal = if answer.status == 503 { Refusal::Unknown } else { Refusal::Invalid };
                let answer = answer.expect_refusal(refusal);
                assert_eq!(answer.header("x-injected"), "", "\n{answer}");
            }
        }
        for kid in [json!(1), json!(null), json!([]), json!({}), json!(true)] {
            let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
            all_refuse(
                system,
                &good,
                &[(format!("kid is {kid}"), key.sign(&header, &good.claims))],
                &["kid.", "header.", "form."],
            )
            .await;
        }
        // Unknown key ids drove nobody to forget the good key.
        for validator in validators(system).iter().filter(|validator| validator.audience == "cars") {
            validator.offer(system, &good.token).await.expect(200);
        }
    });
}

#[test]
fn one_token_has_one_spelling() {
    run(async {
        let system = &*PLAIN;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let mut forgeries = Vec::new();
            for index in 0..3 {
                let mut parts: Vec<String> = good.token.split('.').map(str::to_owned).collect();
                if let Some(twin) = forge::twin(&parts[index]) {
                    parts[index] = twin;
                    forgeries.push((format!("spare bits in part {index}"), parts.join(".")));
                }
                for padding in ["=", "=="] {
                    let mut parts: Vec<String> = good.token.split('.').map(str::to_owned).collect();
                    parts[index].push_str(padding);
                    forgeries.push((format!("padding in part {index}"), parts.join(".")));
                }
            }
            assert!(forgeries.len() > 6, "no part of the token has spare bits");
            forgeries.push(("a dot more".into(), format!("{}.", good.token)));
            forgeries.push(("a dot before".into(), format!(".{}", good.token)));
            forgeries.push(("five parts".into(), format!("{}.AAAA.AAAA", good.token)));
            forgeries.push(("another alphabet".into(), good.token.replace('-', "+").replace('_', "/")));
            forgeries.push(("another character".into(), format!("{}~", good.token)));
            forgeries.retain(|(_, token)| *token != good.token);
            all_refuse(system, &good, &forgeries, &["form.", "signature."]).await;
        }
    });
}

#[test]
fn white_space_and_other_alphabets_are_no_token() {
    run(async {
        let system = &*PLAIN;
        let good = Good::of(system, "cars").await;
        let (head, tail) = good.token.split_once('.').unwrap();
        for token in [
            format!("{head}. {tail}"),
            format!("{head}\t.{tail}"),
            format!("{} {}", good.token, good.token),
            format!("{},{}", good.token, good.token),
            format!("\"{}\"", good.token),
            format!("{{\"payload\":\"{}\"}}", good.part(1)),
            format!("{head}%2E{tail}"),
            format!("{}\u{e9}", good.token),
        ] {
            for validator in validators(system).iter().filter(|validator| validator.audience == "cars") {
                let answer = validator.offer(system, &token).await;
                let refusal = if answer.status == 400 { Refusal::BadRequest } else { Refusal::Invalid };
                answer.expect_refusal(refusal);
            }
        }
    });
}

#[test]
fn a_piece_of_a_token_or_too_much_of_one_is_none() {
    run(async {
        let system = &*PLAIN;
        let good = Good::of(system, "posts").await;
        let length = good.token.len();
        let mut forgeries: Vec<(String, String)> = [1, 2, 5, 10, 100, length / 2, length - 60]
            .iter()
            .map(|cut| (format!("without the last {cut}"), good.token[..length - cut].to_owned()))
            .collect();
        forgeries.push(("without its signature".into(), format!("{}.{}.", good.part(0), good.part(1))));
        forgeries.push(("without its claims".into(), format!("{}..{}", good.part(0), good.part(2))));
        forgeries.push(("with half the signature twice".into(), format!("{}{}", good.token, good.part(2))));
        forgeries.push(("of 10 kB".into(), good.tampered("pad", json!("a".repeat(7_000)))));
        forgeries.push(("of 12 kB of header".into(), good.with_header("pad", json!("a".repeat(9_000)))));
        all_refuse(system, &good, &forgeries, &["form.", "signature.", "header.", "claims.", "kid."]).await;
        // Beyond what a server reads as a header, the server itself may say no; it stays up.
        for size in [40_000, 200_000] {
            for validator in validators(system) {
                let answer = validator.request(system).bearer(&"a".repeat(size)).try_send().await;
                let status = answer.map_or(431, |answer| answer.status);
                assert!(matches!(status, 400 | 401 | 431), "{size} characters at {}: {status}", validator.name);
            }
        }
        // Deeply nested claims are refused before they cost anything.
        let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
        let token = Key::ed25519().sign_text(&forge::unsigned_raw(good.header.to_string().as_bytes(), deep.as_bytes()));
        all_refuse(system, &good, &[("nested deeply".into(), token)], &["form.", "signature.", "claims.", "alg."])
            .await;
    });
}

#[test]
fn a_changed_claim_breaks_the_signature() {
    run(async {
        let system = &*PLAIN;
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            let admin = json!(["admin"]);
            let forgeries: Vec<(String, String)> = [
                ("roles", admin),
                ("sub", json!(system.demo("alice").id)),
                ("exp", json!(now() + 1_000_000)),
                ("epoch", json!(u64::MAX)),
                ("jti", json!("another")),
                ("sid", json!("s_another")),
                ("act", json!({"sub": "cars"})),
                ("client_id", json!("gateway")),
            ]
            .into_iter()
            .map(|(member, value)| (format!("{member} changed"), good.tampered(member, value)))
            .collect();
            all_refuse(system, &good, &forgeries, &["signature.invalid"]).await;
        }
    });
}

#[test]
fn the_tokens_of_one_ring_do_not_pass_under_another_ring_s_key_id() {
    run(async {
        let system = &*PLAIN;
        let mut kids = Vec::new();
        for audience in AUDIENCES {
            for key in jwks(system, audience).await["keys"].as_array().unwrap() {
                for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                    assert!(key.get(private).is_none(), "a private member in the key set of {audience}");
                }
                kids.push((audience, key["kid"].as_str().unwrap().to_owned()));
            }
        }
        let mut distinct: Vec<&String> = kids.iter().map(|(_, kid)| kid).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), kids.len(), "two rings share a key");
        for audience in AUDIENCES {
            let good = Good::of(system, audience).await;
            // Claims for this audience, signature and key id of every other ring.
            let mut forgeries = Vec::new();
            for other in AUDIENCES.iter().filter(|other| **other != audience) {
                let donor = Good::of(system, other).await;
                let head = b64(donor.header.to_string().as_bytes());
                forgeries.push((
                    format!("the key and signature of {other}"),
                    format!("{head}.{}.{}", good.part(1), donor.part(2)),
                ));
                let own_kid = with(&donor.header, "kid", good.header["kid"].clone());
                forgeries.push((
                    format!("a token of {other} under this ring's key id"),
                    format!("{}.{}.{}", b64(own_kid.to_string().as_bytes()), donor.part(1), donor.part(2)),
                ));
            }
            for validator in validators(system).iter().filter(|validator| validator.audience == audience) {
                for (what, token) in &forgeries {
                    let answer = validator.offer(system, token).await;
                    eprintln!("{}: {what}: {}", validator.name, answer.status);
                    let refusal = if answer.status == 503 { Refusal::Unknown } else { Refusal::Invalid };
                    answer.expect_refusal(refusal);
                }
            }
        }
    });
}
