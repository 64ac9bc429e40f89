//! How the services are tested: over HTTP, with tokens signed by a key of the test's own, and with an authority whose
//! answers about current state the test decides.
#![allow(dead_code, reason = "no service's tests use all of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use base64ct::{Base64UrlUnpadded, Encoding};
use propusk_verify::check::{BoxFuture, CheckItem, CheckReply, CheckUnavailable, CheckVerdict, OnlineCheck};
use propusk_verify::decision::PastBound;
use propusk_verify::feed::FeedOptions;
use propusk_verify::jose::{KeyRing, VerifyingKey};
use propusk_verify::{KeySource, Verifier};
use serde_json::{Value, json};

/// The claim `iss` of all tokens.
pub(crate) const ISSUER: &str = "https://id.example";

/// Where nobody listens: only the system may, and it does not.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// What a service is told that is alone in the world.
pub(crate) fn config(service: &str, dir: &Path) -> demo_common::Config {
    demo_common::Config {
        issuer: ISSUER.into(),
        feed: NOWHERE.into(),
        authority: NOWHERE.into(),
        client_id: service.into(),
        client_secret: "psk_secret".to_owned().into(),
        roots_pem: None,
        database: dir.join("test.sqlite"),
        feed_options: FeedOptions::default(),
        max_staleness: Duration::from_secs(5),
        past_bound: PastBound::Refuse,
        leeway: Duration::from_secs(5),
        debug_headers: false,
        ops_anywhere: false,
    }
}

/// An issuer of tokens, who also knows their current state.
pub(crate) struct Issuer {
    key: Ed25519KeyPair,
    pub(crate) state: Arc<State>,
}

impl Issuer {
    /// For whom every subject has these permissions.
    pub(crate) fn granting(permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|&permission| permission.to_owned()).collect();
        let good = CheckVerdict::Good { roles: Vec::new(), permissions };
        let state = State { next: std::sync::Mutex::default(), good };
        Self { key: Ed25519KeyPair::generate().unwrap(), state: Arc::new(state) }
    }

    /// A verifier that trusts this issuer.
    pub(crate) fn verifier(&self, audience: &str) -> Verifier {
        let x = Base64UrlUnpadded::encode_string(self.key.public_key().as_ref());
        let (kid, key) =
            VerifyingKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "kid": "test", "x": x})).unwrap();
        let mut ring = KeyRing::default();
        ring.insert(kid, key);
        Verifier::builder()
            .issuer(ISSUER)
            .audience(audience)
            .keys(KeySource::fixed(ring))
            .check(self.state.clone())
            .build()
    }

    /// A token of these claims, and of good ones for what they leave out.
    pub(crate) fn token(&self, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut jti = [0; 12];
        aws_lc_rs::rand::fill(&mut jti).unwrap();
        let jti = Base64UrlUnpadded::encode_string(&jti);
        let mut all = json!({
            "iss": ISSUER, "client_id": "test", "iat": now, "exp": now + 600, "jti": jti, "epoch": 1, "roles": [],
        });
        all.as_object_mut().unwrap().append(&mut claims.as_object().unwrap().clone());
        let header = json!({"alg": "EdDSA", "kid": "test", "typ": "at+jwt"});
        let signed = [header, all].map(|part| Base64UrlUnpadded::encode_string(part.to_string().as_bytes())).join(".");
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(signature.as_ref()))
    }
}

/// Current state, as the authority would answer it.
pub(crate) struct State {
    next: std::sync::Mutex<VecDeque<Result<CheckVerdict, CheckUnavailable>>>,
    good: CheckVerdict,
}

impl State {
    /// Lets the next `n` checks pass, and answers the one after them so. Then all is well again.
    pub(crate) fn after(&self, n: usize, answer: Result<CheckVerdict, CheckUnavailable>) {
        let mut next = self.next.lock().unwrap();
        next.extend((0..n).map(|_| Ok(self.good.clone())));
        next.push_back(answer);
    }
}

impl OnlineCheck for State {
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for _ in items {
                let next = self.next.lock().unwrap().pop_front();
                answers.push(next.unwrap_or_else(|| Ok(self.good.clone()))?);
            }
            Ok(CheckReply { as_of_seq: 7, floor: 0, answers })
        })
    }
}

/// The claims of a token, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

/// Serves on a free port for as long as the test runs; returns the base address.
pub(crate) async fn start(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) json: Value,
}

/// Sends a request, with a token and a body if there are any.
pub(crate) async fn call(method: &str, url: &str, token: &str, body: Option<Value>) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method.parse().unwrap(), url);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    Answer { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

impl Answer {
    /// Goes on with the body if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json
    }

    /// Goes on if it is a problem document of this kind.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.json["type"], format!("urn:propusk:problem:{slug}"), "{self:?}");
        self
    }
}
