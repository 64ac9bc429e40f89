//! Honest traffic in the background, each answer judged: whether anybody notices what is changed meanwhile.
//!
//! A browser and a client with a password leave it to the gateway to have good tokens, so nothing but 200 is right for
//! them. A client that holds tokens renews them before their end, and once more when it is told that one is stale or
//! has ended; that is by design. Everything else is a failure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::call::{Answer, Call};
use super::screen::Cut;
use super::{Hero, Tokens, Tour};
use crate::secret::SecretText;

/// The service that is called.
pub(super) const LOADED: &str = "cars";
/// Ordinary and elite.
const PATHS: [&str; 3] = ["/cars", "/cars/-/whoami", "/cars/-/whoami/elite"];

const BROWSERS: usize = 8;
const WITH_PASSWORD: usize = 4;
/// Clients that hold tokens.
pub(super) const APPS: usize = 12;
/// Each waits so long between two requests: together about 300 a second, or what the machine can do.
const PACE: Duration = Duration::from_millis(80);
/// A client gets new tokens at this age, long before their end.
pub(super) const RENEWAL: Duration = Duration::from_secs(3);
/// As many failures as are told.
const TOLD: usize = 2;

/// Clients at work, until they are told to stop.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<bool>,
}

struct Shared {
    http: Client,
    gateway: String,
    authority: String,
    hero: Hero,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

/// What came of it so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Of those, after the client had renewed its token.
    pub(super) refreshed: u64,
    /// Of those, because it was told that the token was stale.
    pub(super) stale: u64,
    pub(super) failed: u64,
    /// Why, of the first.
    pub(super) reasons: Vec<String>,
    /// The key of the last token that was accepted of each client that holds tokens.
    pub(super) keys: BTreeMap<usize, String>,
}

/// How a request came to its good end.
enum Good {
    AtOnce,
    Renewed,
    Stale,
}

enum Kind {
    Browser { cookie: String },
    WithPassword,
    App { held: Tokens, since: Instant },
}

struct Caller {
    number: usize,
    kind: Kind,
    shared: Arc<Shared>,
}

impl Load {
    /// Signs everybody in, and lets them begin.
    pub(super) async fn start(tour: &Tour) -> Result<Self, Cut> {
        let shared = Arc::new(Shared {
            http: tour.http.clone(),
            gateway: tour.stage.gateway.clone(),
            authority: tour.stage.authority.clone(),
            hero: tour.hero()?,
            over: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        let mut callers = Vec::new();
        for number in 0..BROWSERS + WITH_PASSWORD + APPS {
            let kind = match number {
                0..BROWSERS => Kind::Browser { cookie: shared.open_browser().await? },
                number if number < BROWSERS + WITH_PASSWORD => Kind::WithPassword,
                _ => Kind::App { held: shared.sign_in().await?, since: Instant::now() },
            };
            callers.push(Caller { number, kind, shared: Arc::clone(&shared) });
        }
        let mut clients = JoinSet::new();
        for caller in callers {
            clients.spawn(caller.work());
        }
        Ok(Self { shared, clients })
    }

    /// Who works, in words.
    pub(super) fn description() -> String {
        format!(
            "{} clients at once: {BROWSERS} browsers, {WITH_PASSWORD} by Basic, {APPS} with tokens that they renew",
            BROWSERS + WITH_PASSWORD + APPS
        )
    }

    /// What came of it so far; a failure if a request failed.
    pub(super) fn so_far(&self) -> Result<Tally, Cut> {
        let tally = self.shared.tally.lock().clone();
        if tally.failed == 0 {
            return Ok(tally);
        }
        let reasons = tally.reasons.join("; ");
        Err(Cut::Failed(format!("{} of {} requests failed: {reasons}", tally.failed, tally.requests)))
    }

    /// Waits until every client that holds tokens has used one of this key.
    pub(super) async fn until_all_use(&self, kid: &str) -> Result<(), Cut> {
        let limit = Instant::now() + RENEWAL + Duration::from_secs(7);
        loop {
            let using = self.so_far()?.keys.values().filter(|used| *used == kid).count();
            if using == APPS {
                return Ok(());
            }
            if Instant::now() >= limit {
                return Err(Cut::Failed(format!("only {using} of {APPS} clients have used a token of {kid}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it. Every session has to be alive; then it is ended.
    pub(super) async fn finish(mut self) -> Result<(Tally, String), Cut> {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut lost = 0;
        while let Some(ended) = self.clients.join_next().await {
            match ended {
                Ok(true) => {}
                Ok(false) => lost += 1,
                Err(error) => return Err(Cut::Failed(format!("a client of the tour broke: {error}"))),
            }
        }
        let tally = self.so_far()?;
        let sessions = format!("{lost} of {} sessions lost", BROWSERS + APPS);
        if lost > 0 { Err(Cut::Failed(sessions)) } else { Ok((tally, sessions)) }
    }
}

impl Shared {
    fn gateway(&self, method: Method, path: &str) -> Call {
        Call::new(&self.http, method, "gateway", &self.gateway, path)
    }

    fn authority(&self, path: &str, body: &Value) -> Call {
        Call::new(&self.http, Method::POST, "authority", &self.authority, path).json(body)
    }

    async fn open_browser(&self) -> Result<String, Cut> {
        let body = json!({"username": self.hero.username, "password": self.hero.password.expose()});
        let answer = self.gateway(Method::POST, "/login").same_origin().json(&body).quietly().await?.expect(200)?;
        answer.cookie().ok_or_else(|| Cut::Failed("the answer sets no cookie".to_owned()))
    }

    async fn sign_in(&self) -> Result<Tokens, Cut> {
        let (username, password) = (&self.hero.username, self.hero.password.expose());
        let body = json!({"username": username, "password": password, "audience": LOADED});
        Tokens::of(&self.authority("/auth/login", &body).quietly().await?.expect(200)?)
    }

    async fn refresh(&self, refresh: &SecretText) -> Result<Tokens, Cut> {
        let body = json!({"refresh_token": refresh.expose(), "audience": LOADED});
        Tokens::of(&self.authority("/auth/refresh", &body).quietly().await?.expect(200)?)
    }

    fn note(&self, called: Result<Good, Cut>) {
        let mut tally = self.tally.lock();
        tally.requests += 1;
        match called {
            Ok(Good::AtOnce) => {}
            Ok(Good::Renewed) => tally.refreshed += 1,
            Ok(Good::Stale) => {
                tally.refreshed += 1;
                tally.stale += 1;
            }
            Err(Cut::Failed(reason) | Cut::Skipped(reason)) => {
                tally.failed += 1;
                if tally.reasons.len() < TOLD {
                    tally.reasons.push(reason);
                }
            }
        }
    }
}

impl Caller {
    /// Calls until it is enough; whether its session is alive then.
    async fn work(mut self) -> bool {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.shared.over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let called = self.call().await;
            self.shared.note(called);
        }
        self.leave().await.is_ok()
    }

    async fn call(&mut self) -> Result<Good, Cut> {
        let path = PATHS.get(self.number % PATHS.len()).copied().unwrap_or_default();
        let request = self.shared.gateway(Method::GET, path);
        match &mut self.kind {
            Kind::Browser { cookie } => {
                let answer = request.cookie(cookie).quietly().await?.expect(200)?;
                if let Some(new) = answer.cookie() {
                    *cookie = new;
                }
                Ok(Good::AtOnce)
            }
            Kind::WithPassword => {
                let Hero { username, password, .. } = &self.shared.hero;
                request.basic(username, password.expose()).quietly().await?.expect(200)?;
                Ok(Good::AtOnce)
            }
            Kind::App { held, since } => {
                let mut good = Good::AtOnce;
                if since.elapsed() >= RENEWAL {
                    (*held, *since) = (self.shared.refresh(&held.refresh).await?, Instant::now());
                    good = Good::Renewed;
                }
                let answer = request.bearer(held.access.expose()).quietly().await?;
                if is_to_be_renewed(&answer) {
                    good = if answer.slug() == "token-stale" { Good::Stale } else { Good::Renewed };
                    (*held, *since) = (self.shared.refresh(&held.refresh).await?, Instant::now());
                    let again = self.shared.gateway(Method::GET, path).bearer(held.access.expose());
                    again.quietly().await?.expect(200)?;
                } else {
                    answer.expect(200)?;
                }
                self.shared.tally.lock().keys.insert(self.number, key_of(held.access.expose())?);
                Ok(good)
            }
        }
    }

    /// Ends the session, if it is alive.
    async fn leave(self) -> Result<(), Cut> {
        let shared = &self.shared;
        match self.kind {
            Kind::Browser { cookie } => {
                let answer = shared.gateway(Method::GET, "/session").cookie(&cookie).quietly().await?.expect(200)?;
                let cookie = answer.cookie().unwrap_or(cookie);
                shared.gateway(Method::POST, "/logout").cookie(&cookie).quietly().await?.expect(204)?;
            }
            // The gateway keeps its session for as long as an access token lives, and ends it.
            Kind::WithPassword => {}
            Kind::App { held, .. } => {
                let body = json!({"refresh_token": shared.refresh(&held.refresh).await?.refresh.expose()});
                shared.authority("/auth/logout", &body).quietly().await?.expect(204)?;
            }
        }
        Ok(())
    }
}

/// Section 5 of the contract with clients: stale and expired tokens are refreshed, once.
fn is_to_be_renewed(answer: &Answer) -> bool {
    answer.status == 401 && matches!(answer.slug(), "token-stale" | "token-expired")
}

/// The key that a token names, to be shown; nothing is decided on it.
fn key_of(token: &str) -> Result<String, Cut> {
    let token = propusk_verify::token::UnverifiedToken::parse(token).ok();
    let kid = token.and_then(|token| Some(token.header().get("kid")?.as_str()?.to_owned()));
    kid.ok_or_else(|| Cut::Failed("a token names no key".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        Shared {
            http: Client::new(),
            gateway: String::new(),
            authority: String::new(),
            hero: Hero { id: "u_1".into(), username: "ann".into(), password: SecretText::new("x") },
            over: AtomicBool::new(false),
            tally: Mutex::default(),
        }
    }

    #[test]
    fn one_failure_among_many_is_a_failure() {
        let load = Load { shared: Arc::new(shared()), clients: JoinSet::new() };
        for good in [Good::AtOnce, Good::Renewed, Good::Stale] {
            load.shared.note(Ok(good));
        }
        let tally = load.so_far().unwrap();
        assert_eq!((tally.requests, tally.refreshed, tally.stale, tally.failed), (3, 2, 1, 0));
        load.shared.note(Err(Cut::Failed("503 cannot-tell".to_owned())));
        assert_eq!(load.so_far().unwrap_err(), Cut::Failed("1 of 4 requests failed: 503 cannot-tell".to_owned()));
    }
}
