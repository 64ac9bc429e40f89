//! `propusk demo`: a narrated tour. Each step says what it does, shows the real answer, and is ✓ or ✗.
//!
//! A step that cannot be shown says so and is neither: what needs an administrator where there is no password of one,
//! what needs processes to be stopped where there is one process.

mod call;
mod ending;
mod feed;
mod keys;
mod load;
mod people;
mod screen;
mod stage;
mod trade;

use anyhow::Context as _;
use propusk_core::env::{Random as _, SystemRandom};
use reqwest::{Client, Method};
use serde_json::json;

use crate::cli::DemoArgs;
use crate::config::ConfigErrors;
use crate::exit::{Exit, Failure, Outcome};
use crate::secret::SecretText;
use crate::serve::signalled;
use crate::{data, run_file, tls};

use call::{Answer, Call};
use screen::{Cut, Screen, Shown};
use stage::Stage;

/// Everything that the steps work with and leave for the next.
struct Tour {
    http: Client,
    stage: Stage,
    screen: Screen,
    hero: Option<Hero>,
    /// The hero's session at the gateway.
    cookie: Option<String>,
}

/// Whom the tour is about.
#[derive(Clone)]
struct Hero {
    id: String,
    username: String,
    password: SecretText,
}

/// An access token and what keeps its session alive.
struct Tokens {
    access: SecretText,
    refresh: SecretText,
    expires_in: u64,
}

/// `propusk demo`.
pub(crate) async fn run(args: DemoArgs) -> Outcome {
    let stage = set_stage(&args).await?;
    let roots = stage.ca.as_deref().map(tls::roots).transpose().map_err(ConfigErrors::from)?;
    let mut tour =
        Tour { http: call::client(roots.as_deref())?, stage, screen: Screen::default(), hero: None, cookie: None };
    let told = tokio::select! {
        () = tell(&mut tour) => true,
        () = signalled() => false,
    };
    let is_good = told && tour.screen.finish();
    tour.stage.end().await;
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

async fn set_stage(args: &DemoArgs) -> Result<Stage, Failure> {
    if args.ephemeral {
        return Ok(Stage::start().await?);
    }
    let data = match &args.data {
        Some(data) => data.clone(),
        None => data::default_path()?,
    };
    let Some(running) = run_file::read(&data)? else {
        let text = format!(
            "no `propusk up` runs on {}: start one, give --data DIR, or let the tour start its own with --ephemeral",
            data.display()
        );
        return Err(Failure::new(Exit::Unreachable, anyhow::Error::msg(text)));
    };
    let password = args.admin_password_file.as_deref().map(stage::read_password);
    let password = password.transpose().map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Stage::running(running, password))
}

/// The whole story.
async fn tell(tour: &mut Tour) {
    let whose = if tour.stage.is_own() { "a system of its own, in five processes" } else { "the running system" };
    tour.screen.title(
        "A tour of Propusk",
        &[
            format!("through {whose}"),
            format!("gateway    {}", tour.stage.gateway),
            format!("authority  {}", tour.stage.authority),
        ],
    );
    tour.step("Register", people::register).await;
    tour.step("Sign in at the authority", people::sign_in).await;
    tour.step("Call each service as an API client: name and password at the gateway", people::call_with_basic).await;
    tour.step("Call each service as a browser: one cookie at the gateway", people::call_with_cookie).await;
    tour.step("Write a post, and list posts with their authors", people::posts).await;
    tour.step("Be refused without the role, and get it", trade::get_role).await;
    tour.step("Buy a car, and see the balance fall", trade::buy).await;
    tour.step("Lose the role, and be refused at once", trade::lose_role).await;
    tour.step("An access token ends; the browser's session goes on", ending::expire).await;
    tour.step("Log out, and be refused", ending::log_out).await;
    keys::tell(tour).await;
    tour.step("Freeze a service, revoke a session, wake the service", feed::freeze).await;
    tour.step("Kill the authority, and start it again", feed::authority_away).await;
}

impl Tour {
    async fn step(&mut self, title: &str, run: impl AsyncFnOnce(&mut Self) -> Shown) {
        self.screen.step(title);
        let outcome = run(self).await;
        self.screen.end(title, outcome);
    }

    fn authority(&self, method: Method, path: &str) -> Call {
        Call::new(&self.http, method, "authority", &self.stage.authority, path)
    }

    fn gateway(&self, method: Method, path: &str) -> Call {
        Call::new(&self.http, method, "gateway", &self.stage.gateway, path)
    }

    fn service(&self, name: &str, method: Method, path: &str) -> Result<Call, Cut> {
        Ok(Call::new(&self.http, method, name, self.stage.service(name)?, path))
    }

    fn hero(&self) -> Result<Hero, Cut> {
        self.hero.clone().ok_or_else(|| Cut::Skipped("nobody could be registered".to_owned()))
    }

    /// A request through the gateway in the hero's browser session; what cookie it answers is kept.
    async fn browse(&mut self, call: Call) -> Result<Answer, Cut> {
        let cookie =
            self.cookie.clone().ok_or_else(|| Cut::Skipped("no browser session could be opened".to_owned()))?;
        let answer = call.cookie(&cookie).send(&self.screen).await?;
        if let Some(cookie) = answer.cookie() {
            self.cookie = Some(cookie).filter(|cookie| !cookie.is_empty());
        }
        Ok(answer)
    }

    /// Signs the hero in for an audience.
    async fn login(&self, audience: &str) -> Result<Tokens, Cut> {
        let hero = self.hero()?;
        let body = json!({"username": hero.username, "password": hero.password.expose(), "audience": audience});
        let call = self.authority(Method::POST, "/auth/login").json(&body);
        Tokens::of(&call.send(&self.screen).await?.expect(200)?)
    }

    /// An administrator's token, made for one call.
    async fn admin_token(&self) -> Result<SecretText, Cut> {
        let Some(password) = &self.stage.admin_password else {
            let why = "only the administrator may do this: --admin-password-file FILE, or --ephemeral";
            return Err(Cut::Skipped(why.to_owned()));
        };
        let body = json!({"username": "admin", "password": password.expose()});
        let answer = self.authority(Method::POST, "/auth/login").json(&body).quietly().await?.expect(200)?;
        Ok(Tokens::of(&answer)?.access)
    }

    /// A call of the administrator.
    async fn administer(&self, method: Method, path: &str) -> Result<Answer, Cut> {
        let token = self.admin_token().await?;
        self.authority(method, &format!("/admin/v1{path}")).bearer(token.expose()).send(&self.screen).await
    }
}

impl Tokens {
    fn of(answer: &Answer) -> Result<Self, Cut> {
        Ok(Self {
            access: SecretText::new(answer.text("/access_token")?),
            refresh: SecretText::new(answer.text("/refresh_token")?),
            expires_in: u64::try_from(answer.number("/expires_in")?).unwrap_or(0),
        })
    }
}

/// What a change reached, in words; a failure unless every verifier enforces it.
fn enforced(answer: &Answer) -> Result<String, Cut> {
    if answer.text("/outcome")? != "enforced" {
        return Err(Cut::Failed(format!("not enforced within the limit: {}", answer.in_short())));
    }
    Ok(format!("enforced in {} ms", answer.number("/took_ms")?))
}

/// The same from the header of an answer without a body.
fn enforced_header(answer: &Answer) -> Result<String, Cut> {
    let reached = answer.enforcement().filter(|reached| reached.starts_with("enforced"));
    reached.ok_or_else(|| Cut::Failed(format!("not enforced within the limit: {}", answer.in_short())))
}

/// Letters and digits that nobody guesses.
fn random_word(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bits = vec![0_u8; length];
    SystemRandom.fill(&mut bits);
    bits.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|&letter| char::from(letter)).collect()
}

/// A claim of a token, to be shown; nothing is decided on it.
fn claim(token: &str, name: &str) -> Result<String, Cut> {
    let unread = || Cut::Failed("the token cannot be read".to_owned());
    let token = propusk_verify::token::UnverifiedToken::parse(token).map_err(|_| unread())?;
    let claims: serde_json::Value = serde_json::from_slice(token.payload()).context("claims")?;
    claims.get(name).and_then(serde_json::Value::as_str).map(str::to_owned).ok_or_else(unread)
}
