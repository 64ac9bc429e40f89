//! A gateway with an authority and a service that do as a test says; tokens are signed for real.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use propusk_gateway::{GatewayConfig, Route, RouteClass, StartError, serve_with};
use propusk_verify::check::{BoxFuture, CheckItem, CheckReply, CheckUnavailable, CheckVerdict, OnlineCheck};
use propusk_verify::jose::{KeyRing, VerifyingKey};
use propusk_verify::{KeySource, Verifier};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use url::form_urlencoded;

use crate::http::{Answer, Body, Req, Server, get, post, soon};

pub const ISSUER: &str = "https://id.test";
pub const PASSWORD: &str = "correct horse battery";
const AUDIENCES: [&str; 3] = ["cars", "posts", "elite"];

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

fn answer(status: u16, json: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(full(json.to_string())).unwrap()
}

/// Signs tokens.
pub struct Mint {
    key: Ed25519KeyPair,
    count: AtomicU64,
}

impl Mint {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { key: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(), count: AtomicU64::new(0) }
    }

    fn ring(&self) -> KeyRing {
        let x = Base64UrlUnpadded::encode_string(self.key.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1"});
        let (kid, key) = VerifyingKey::from_jwk(&jwk).unwrap();
        let mut ring = KeyRing::default();
        ring.insert(kid, key);
        ring
    }

    /// A token that lives `life_s` from now, or has ended so long ago.
    pub fn token(&self, audience: &str, life_s: i64) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let jti = format!("jti-{}", self.count.fetch_add(1, Ordering::Relaxed) + 1);
        let header = json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"});
        let claims = json!({
            "iss": ISSUER, "sub": "u_alice", "aud": audience, "client_id": "gateway", "iat": now - 1000,
            "exp": now + life_s, "jti": jti, "epoch": 1, "roles": [], "sid": "s_1",
        });
        let part = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = Base64UrlUnpadded::encode_string(self.key.sign(input.as_bytes()).as_ref());
        format!("{input}.{signature}")
    }
}

/// What the authority says of current state.
pub struct Check {
    answer: Mutex<Option<CheckVerdict>>,
    /// These tokens are stale, whatever is said of others.
    stale: Mutex<Vec<String>>,
}

impl Check {
    /// From now on; `None`: it cannot be asked.
    pub fn says(&self, verdict: Option<CheckVerdict>) {
        *self.answer.lock().unwrap() = verdict;
    }

    /// Everything minted so far is stale.
    pub fn everything_is_stale(&self, mint: &Mint) {
        let count = mint.count.load(Ordering::Relaxed);
        *self.stale.lock().unwrap() = (1..=count).map(|n| format!("jti-{n}")).collect();
    }
}

pub fn good(permissions: &[&str]) -> Option<CheckVerdict> {
    let permissions = permissions.iter().map(|permission| (*permission).to_owned()).collect();
    Some(CheckVerdict::Good { roles: Vec::new(), permissions })
}

impl OnlineCheck for Check {
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>> {
        let verdict = self.answer.lock().unwrap().clone();
        let stale = self.stale.lock().unwrap().clone();
        Box::pin(async move {
            let verdict = verdict.ok_or_else(|| CheckUnavailable("away".to_owned()))?;
            let judge = |item: CheckItem| if stale.contains(&item.jti) { CheckVerdict::Stale } else { verdict.clone() };
            Ok(CheckReply { as_of_seq: 7, floor: 0, answers: items.into_iter().map(judge).collect() })
        })
    }
}

/// A session at the authority: each refresh token with its successor, if it has been used.
#[derive(Default)]
struct Family {
    tokens: Vec<(String, Option<String>)>,
    ended: bool,
}

/// The authority, as far as a gateway sees it.
pub struct Authority {
    pub mint: Mint,
    families: Mutex<Vec<Family>>,
    calls: Mutex<HashMap<String, usize>>,
    /// Life of the next access tokens, as signed and as told.
    life: Mutex<(i64, i64)>,
    /// What it says instead, for a while.
    instead: Mutex<Option<(u16, Value)>>,
    forms: Mutex<Vec<(HeaderMap, HashMap<String, String>)>>,
    is_asleep: AtomicBool,
}

impl Authority {
    /// How often something was asked for: `password`, `refresh`, `rotation`, `revoke`, `me`.
    pub fn count(&self, what: &str) -> usize {
        self.calls.lock().unwrap().get(what).copied().unwrap_or_default()
    }

    fn counted(&self, what: &str) {
        *self.calls.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    pub fn mints(&self, signed_s: i64, told_s: i64) {
        *self.life.lock().unwrap() = (signed_s, told_s);
    }

    pub fn answers_instead(&self, status: u16, body: Value) {
        *self.instead.lock().unwrap() = Some((status, body));
    }

    /// From now on it answers nothing; `asleep` counts who asks.
    pub fn sleeps(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
    }

    /// Sessions that have not ended.
    pub fn open_sessions(&self) -> usize {
        self.families.lock().unwrap().iter().filter(|family| !family.ended).count()
    }

    /// Ends all sessions, as an administrator would.
    pub fn end_all(&self) {
        self.families.lock().unwrap().iter_mut().for_each(|family| family.ended = true);
    }

    /// Head and form of the latest call that brought one.
    pub fn last_form(&self) -> (HeaderMap, HashMap<String, String>) {
        self.forms.lock().unwrap().last().cloned().unwrap()
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if self.is_asleep.load(Ordering::Relaxed) {
            self.counted("asleep");
            std::future::pending::<()>().await;
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        if let Some((status, body)) = self.instead.lock().unwrap().clone() {
            let response = Response::builder().status(status).header("retry-after", "7");
            return response.body(full(body.to_string())).unwrap();
        }
        if !form.is_empty() {
            self.forms.lock().unwrap().push((head.headers.clone(), form.clone()));
        }
        match head.uri.path() {
            "/oauth/token" if form["grant_type"] == "password" => self.password(&form),
            "/oauth/token" => self.refresh(&form),
            "/oauth/revoke" => self.revoke(&form["token"]),
            "/auth/me" => {
                self.counted("me");
                let session = json!({"expires_at": "2100-01-01T00:00:00Z", "id": "s_1"});
                answer(200, &json!({"id": "u_alice", "username": "alice", "roles": {}, "session": session}))
            }
            "/auth/register" => {
                let names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
                answer(201, &json!({"id": "u_new", "seen": names, "body": String::from_utf8_lossy(&body)}))
            }
            path => answer(404, &json!({"path": path})),
        }
    }

    fn password(&self, form: &HashMap<String, String>) -> Response<Body> {
        self.counted("password");
        if form["password"] != PASSWORD {
            return answer(400, &json!({"error": "invalid_grant"}));
        }
        let mut families = self.families.lock().unwrap();
        let token = format!("psr_{}_0", families.len());
        families.push(Family { tokens: vec![(token.clone(), None)], ended: false });
        self.tokens(&form["audience"], &token)
    }

    fn refresh(&self, form: &HashMap<String, String>) -> Response<Body> {
        self.counted("refresh");
        let presented = &form["refresh_token"];
        let mut families = self.families.lock().unwrap();
        let found = families.iter_mut().find_map(|family| {
            let at = family.tokens.iter().position(|(token, _)| token == presented)?;
            Some((family, at))
        });
        let Some((family, at)) = found.filter(|(family, _)| !family.ended) else {
            return answer(400, &json!({"error": "invalid_grant"}));
        };
        let successor = family.tokens[at].1.clone().unwrap_or_else(|| {
            self.counted("rotation");
            let (prefix, _) = presented.rsplit_once('_').unwrap();
            let successor = format!("{prefix}_{}", at + 1);
            family.tokens[at].1 = Some(successor.clone());
            family.tokens.push((successor.clone(), None));
            successor
        });
        self.tokens(&form["audience"], &successor)
    }

    fn revoke(&self, token: &str) -> Response<Body> {
        self.counted("revoke");
        let mut families = self.families.lock().unwrap();
        let family = families.iter_mut().find(|family| family.tokens.iter().any(|(one, _)| one == token));
        family.unwrap().ended = true;
        let response = Response::builder().header("propusk-enforcement", "outcome=enforced;seq=42;took-ms=7");
        response.body(full("")).unwrap()
    }

    fn tokens(&self, audience: &str, refresh: &str) -> Response<Body> {
        let (signed_s, told_s) = *self.life.lock().unwrap();
        let access = self.mint.token(audience, signed_s);
        answer(
            200,
            &json!({
                "access_token": access, "token_type": "Bearer", "expires_in": told_s,
                "refresh_token": refresh, "refresh_expires_in": 1_000_000,
            }),
        )
    }
}

/// What the service saw of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn token(&self) -> String {
        self.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
    }
}

/// The service.
#[derive(Default)]
pub struct Service {
    seen: Mutex<Vec<Seen>>,
    bodies: Mutex<Vec<Result<usize, String>>>,
    stale_answers: AtomicUsize,
}

impl Service {
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the service was not called")
    }

    /// How long the bodies were that it read, or how they broke off.
    pub fn bodies(&self) -> Vec<Result<usize, String>> {
        self.bodies.lock().unwrap().clone()
    }

    /// The next so many requests are answered `stale`.
    pub fn says_stale(&self, times: usize) {
        self.stale_answers.store(times, Ordering::Relaxed);
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let target = head.uri.to_string();
        let seen = Seen { method: head.method.to_string(), target: target.clone(), headers: head.headers };
        self.seen.lock().unwrap().push(seen);
        let is_stale =
            self.stale_answers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        if is_stale {
            let response = Response::builder().status(401).header("propusk-verdict", "stale");
            return response.body(full("stale")).unwrap();
        }
        match target.rsplit('/').next().unwrap() {
            // Bytes go back as they come.
            "mirror" => Response::new(body.boxed()),
            // Without a look at the body.
            "refuse" => Response::builder().status(413).body(full("too large")).unwrap(),
            "never" => std::future::pending().await,
            "cookies" => Response::builder()
                .header("set-cookie", "__Host-Http-propusk=stolen; Path=/")
                .header("set-cookie", "theirs=x")
                .header("cache-control", "public, max-age=600")
                .header("connection", "x-hop")
                .header("x-hop", "y")
                .body(full("cookies"))
                .unwrap(),
            _ => {
                let length = body.collect().await.map(|body| body.to_bytes().len()).map_err(|error| error.to_string());
                self.bodies.lock().unwrap().push(length.clone());
                Response::new(full(format!("{} bytes", length.unwrap_or_default())))
            }
        }
    }
}

/// All of it.
pub struct World {
    pub gateway: SocketAddr,
    pub authority: Arc<Authority>,
    pub authority_server: Server,
    pub service: Arc<Service>,
    pub service_server: Server,
    pub check: Arc<Check>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Result<(), StartError>>>,
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With changes to the configuration. `/cars/**` and `/posts/**` are ordinary; `/elite/**` is what the name says,
    /// `/buy/**` demands a permission too.
    pub async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let authority = Arc::new(Authority {
            mint: Mint::new(),
            families: Mutex::default(),
            calls: Mutex::default(),
            life: Mutex::new((600, 600)),
            instead: Mutex::default(),
            forms: Mutex::default(),
            is_asleep: AtomicBool::new(false),
        });
        let service = Arc::<Service>::default();
        let (of_authority, of_service) = (authority.clone(), service.clone());
        let authority_server = Server::start(move |request| of_authority.clone().handle(request)).await;
        let service_server = Server::start(move |request| of_service.clone().handle(request)).await;
        let check = Arc::new(Check { answer: Mutex::new(good(&[])), stale: Mutex::default() });
        let mut config = config(&authority_server.url(), &service_server.url());
        change(&mut config);
        let ring = authority.mint.ring();
        let verifiers: Vec<Verifier> = AUDIENCES.iter().map(|audience| verifier(audience, &ring, &check)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let shutdown = async { stopped.await.unwrap_or_default() };
            serve_with(listener, config, &verifiers, shutdown).await
        });
        let (stop, served) = (Some(stop), Some(served));
        Self { gateway, authority, authority_server, service, service_server, check, stop, served }
    }

    /// The configuration of another gateway for the same authority and service.
    pub fn config(&self) -> GatewayConfig {
        config(&self.authority_server.url(), &self.service_server.url())
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has.
    pub async fn stopped(&mut self) {
        soon("the end", self.served.take().unwrap()).await.unwrap().unwrap();
    }

    pub async fn send(&self, req: Req) -> Answer {
        req.send(self.gateway).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send(get(target)).await
    }

    /// A good token of an audience.
    pub fn token(&self, audience: &str) -> String {
        self.authority.mint.token(audience, 600)
    }

    /// Signs in; the cookie's value.
    pub async fn sign_in(&self) -> String {
        let body = json!({"username": "alice", "password": PASSWORD});
        let answer = self.send(post("/login").header("Propusk-CSRF", "1").json(&body)).await.expect(200);
        answer.session_cookie().expect("a cookie")
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let polling = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(what, polling).await;
    }
}

fn config(authority: &str, service: &str) -> GatewayConfig {
    let key = zeroize::Zeroizing::new([7; 32]);
    let mut config = GatewayConfig::new(ISSUER, authority, "http://127.0.0.1:1", "gateway", "psk_gateway", key);
    let elite = |path: &str| Route { class: RouteClass::Elite, ..Route::new(path, service, "elite") };
    config.routes = vec![
        Route::new("/cars/**", service, "cars"),
        Route::new("/posts/**", service, "posts"),
        elite("/elite/**"),
        Route { permission: Some("cars:buy".to_owned()), ..elite("/buy/**") },
    ];
    config.debug_headers = true;
    config
}

fn verifier(audience: &str, ring: &KeyRing, check: &Arc<Check>) -> Verifier {
    let builder = Verifier::builder().issuer(ISSUER).audience(audience).keys(KeySource::fixed(ring.clone()));
    builder.check(check.clone()).build()
}
