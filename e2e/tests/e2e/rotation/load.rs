//! Honest traffic of every kind, at a steady rate, each answer classified.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::browser::Browser;
use e2e::http::{Answer, Http};
use e2e::people::Tokens;
use e2e::system::System;
use futures_util::future::join_all;
use serde_json::json;

use super::kid_of;

/// Those who call, each one request at a time.
const CALLERS: usize = 63;
/// As many wrong answers as are shown.
const SHOWN: usize = 10;

/// Traffic.
pub(super) struct Load<'a> {
    system: &'a System,
    callers: Vec<Caller<'a>>,
    pace: Duration,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Tally {
    counts: BTreeMap<&'static str, usize>,
    /// What should not have been.
    pub(super) wrong: Vec<String>,
    /// The keys of tokens that were accepted.
    pub(super) kids: BTreeSet<String>,
}

impl Tally {
    pub(super) fn answered(&self) -> usize {
        self.counts.values().sum::<usize>() + self.wrong.len()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} wrong, keys {:?}", self.counts, self.wrong.len(), self.kids)?;
        self.wrong.iter().take(SHOWN).try_for_each(|wrong| write!(f, "\n{wrong}"))
    }
}

/// Somebody who calls again and again.
enum Caller<'a> {
    /// A person in a browser, through the gateway, which refreshes by itself.
    Browser(Box<Browser<'a>>, &'static str),
    /// An app that holds a person's tokens, and renews them at their end.
    App { http: Http, url: String, audience: &'static str, held: Box<Mutex<(Tokens, Instant)>> },
    /// A service that gets tokens for itself, and others when they are refused.
    Machine { http: Http, url: String, audience: &'static str, token: Mutex<String> },
}

impl<'a> Load<'a> {
    /// Signs everybody in.
    pub(super) async fn prepare(system: &'a System, rate: f64) -> Self {
        let person = system.register("loaded").await;
        let writer = system.login(&person, "posts").await;
        let post = system.http.post(&system.service("posts", "/posts")).bearer(&writer.access);
        post.json(&json!({"content": "seen by everybody"})).send().await.expect(201);
        let clients: Vec<Http> = (0..4).map(|_| Http::new()).collect();
        let mut callers = Vec::new();
        for n in 0..CALLERS {
            let http = clients[n % clients.len()].clone();
            let app = async |audience, url| Caller::App {
                http: http.clone(),
                url,
                audience,
                held: Box::new(Mutex::new((system.login(&person, audience).await, Instant::now()))),
            };
            callers.push(match n % 7 {
                0 => Caller::Browser(Box::new(Browser::sign_in(system, &person).await), "/cars/-/whoami"),
                1 => Caller::Browser(Box::new(Browser::sign_in(system, &person).await), "/users/-/whoami/elite"),
                2 => app("cars", system.service("cars", "/cars/-/whoami/elite")).await,
                3 => app("users", system.service("users", "/users/me")).await,
                // It is shown with its author, whom `posts` asks `users` about by exchange.
                4 => app("posts", system.service("posts", "/posts")).await,
                5 => app("propusk", system.authority("/auth/me")).await,
                _ => Caller::Machine {
                    http,
                    url: system.service("cars", "/cars/-/whoami"),
                    audience: "cars",
                    token: Mutex::new(system.client_token("demo-m2m", "cars").await),
                },
            });
        }
        let pace = Duration::from_secs_f64(CALLERS as f64 / (rate * 1.1));
        Self { system, callers, pace, over: AtomicBool::new(false), tally: Mutex::default() }
    }

    /// Until it is stopped.
    pub(super) async fn run(&self) {
        join_all(self.callers.iter().enumerate().map(|(n, caller)| self.call_on(n, caller))).await;
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Everybody is still signed in.
    pub(super) async fn finish(self) -> Tally {
        for caller in &self.callers {
            match caller {
                Caller::Browser(browser, _) => drop(browser.get("/session").await.expect(200)),
                Caller::App { audience, held, .. } => {
                    let refresh = held.lock().expect("tokens").0.refresh.clone();
                    self.system.refresh(&refresh, Some(audience)).await.expect(200);
                }
                Caller::Machine { .. } => {}
            }
        }
        self.tally.into_inner().expect("tally")
    }

    async fn call_on(&self, n: usize, caller: &Caller<'_>) {
        let offset = self.pace * u32::try_from(n).expect("few") / u32::try_from(CALLERS).expect("few");
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, self.pace);
        while !self.over.load(Ordering::SeqCst) {
            ticks.tick().await;
            let called = caller.call(self.system).await;
            let mut tally = self.tally.lock().expect("tally");
            match called {
                Ok((what, kid)) => {
                    *tally.counts.entry(what).or_default() += 1;
                    tally.kids.extend(kid);
                }
                Err(wrong) => tally.wrong.push(wrong),
            }
        }
    }
}

type Called = Result<(&'static str, Option<String>), String>;

impl Caller<'_> {
    /// One request, as a client does it that keeps to the rules: expired and stale tokens are refreshed, once.
    async fn call(&self, system: &System) -> Called {
        match self {
            Self::Browser(browser, path) => {
                let answer = browser.get(path).await;
                if answer.status == 200 { Ok(("browser", None)) } else { Err(answer.to_string()) }
            }
            Self::App { http, url, audience, held } => {
                let (old, since) = held.lock().expect("tokens").clone();
                let renew = async |refresh: &str| {
                    let asked = Instant::now();
                    let answer = system.refresh(refresh, Some(audience)).await;
                    if answer.status != 200 {
                        return Err(format!("logged out: {answer}"));
                    }
                    let new = Tokens::of(answer);
                    *held.lock().expect("tokens") = (new.clone(), asked);
                    Ok(new)
                };
                let has_ended = since.elapsed() >= Duration::from_secs(old.expires_in);
                let tokens = if has_ended { renew(&old.refresh).await? } else { old };
                let again = async { renew(&tokens.refresh).await.map(|new| new.access) };
                with_a_retry(http, url, &tokens.access, again).await
            }
            Self::Machine { http, url, audience, token } => {
                let old = token.lock().expect("token").clone();
                let renew = async {
                    let new = system.client_token("demo-m2m", audience).await;
                    token.lock().expect("token").clone_from(&new);
                    Ok(new)
                };
                with_a_retry(http, url, &old, renew).await
            }
        }
    }
}

async fn with_a_retry(
    http: &Http,
    url: &str,
    token: &str,
    renew: impl Future<Output = Result<String, String>>,
) -> Called {
    let ask = |token: &str| http.get(url).bearer(token).try_send();
    let no_answer = |error: reqwest::Error| format!("{url}: no answer: {error:?}");
    let first = ask(token).await.map_err(no_answer)?;
    if is_good(&first) {
        return Ok(("first try", Some(kid_of(token))));
    }
    let what = match (first.status, first.header("propusk-verdict")) {
        (401, "expired") => "expired, refreshed",
        (401, "stale") => "stale, refreshed",
        _ => return Err(first.to_string()),
    };
    let renewed = renew.await?;
    let second = ask(&renewed).await.map_err(no_answer)?;
    if is_good(&second) { Ok((what, Some(kid_of(&renewed)))) } else { Err(format!("{what}, and then {second}")) }
}

/// A post without its author is an answer that had no token for `users`.
fn is_good(answer: &Answer) -> bool {
    answer.status == 200 && !answer.text().contains(r#""user_data":null"#)
}
