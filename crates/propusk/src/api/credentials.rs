//! With whose credentials: PROPUSK_TOKEN, a client of the environment, or what `propusk login` stored.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::Place;
use crate::exit::{Exit, Failure};
use crate::private;
use crate::secret::SecretText;

/// A token that ends sooner than this is refreshed first.
const MARGIN_S: u64 = 20;

/// What signing in yielded at one authority.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) username: String,
    refresh_token: SecretText,
    access_token: SecretText,
    /// Unix seconds.
    access_ends: u64,
}

/// The file: a sign-in for each authority, by its URL.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    authorities: BTreeMap<String, Login>,
}

/// An access token for the authority's own calls.
pub(super) struct Credential {
    pub(super) token: SecretText,
    pub(super) origin: Origin,
}

/// Where a credential comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Environment,
    Client,
    Login,
}

impl Origin {
    /// What helps when it is not accepted.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Environment => "PROPUSK_TOKEN is not accepted: it has to be a live access token of audience propusk",
            Self::Client => {
                "The client of PROPUSK_CLIENT_ID is not accepted: look at its id, its secret and its audiences"
            }
            Self::Login => "Sign in: propusk login",
        }
    }
}

/// The first that there is: PROPUSK_TOKEN, the client of the environment, what `propusk login` stored.
pub(super) async fn of(place: &Place) -> Result<Credential, Failure> {
    if let Ok(token) = std::env::var("PROPUSK_TOKEN") {
        return Ok(Credential { token: SecretText::new(token), origin: Origin::Environment });
    }
    let (token, origin) = match std::env::var("PROPUSK_CLIENT_ID") {
        Ok(client_id) => (client_token(place, &client_id).await, Origin::Client),
        Err(_) => (stored_token(place).await, Origin::Login),
    };
    let advised =
        |failure: Failure| if failure.exit == Exit::NotAllowed { failure.advise(origin.advice()) } else { failure };
    Ok(Credential { token: token.map_err(advised)?, origin })
}

async fn client_token(place: &Place, client_id: &str) -> Result<SecretText, Failure> {
    let Some(path) = std::env::var_os("PROPUSK_CLIENT_SECRET_FILE") else {
        return Err(Failure::usage("PROPUSK_CLIENT_ID is set, but PROPUSK_CLIENT_SECRET_FILE is not"));
    };
    let secret = private::read(path.as_ref()).map_err(|error| Failure::new(Exit::Usage, error))?;
    let form = [("grant_type", "client_credentials"), ("audience", "propusk")];
    let request = place.request(Method::POST, "/oauth/token").basic_auth(client_id, Some(secret.as_str())).form(&form);
    let answer = place.send(request).await?.document;
    member(&answer, "access_token").map_err(Failure::from)
}

/// The stored token, refreshed if it is about to end. Two commands at a time do not refresh twice.
async fn stored_token(place: &Place) -> Result<SecretText, Failure> {
    let _lock = lock()?;
    let mut stored = read()?;
    let Some(login) = stored.authorities.get(&place.base) else {
        return Err(Failure::new(Exit::NotAllowed, anyhow::anyhow!("not signed in at {}", place.base)));
    };
    if login.access_ends > now() + MARGIN_S {
        return Ok(login.access_token.clone());
    }
    let body = json!({"refresh_token": login.refresh_token.expose()});
    match place.send(place.request(Method::POST, "/auth/refresh").json(&body)).await {
        Ok(answer) => {
            let login = Login::of(login.username.clone(), &answer.document)?;
            let token = login.access_token.clone();
            stored.authorities.insert(place.base.clone(), login);
            write(&stored)?;
            Ok(token)
        }
        Err(failure) => {
            if failure.exit == Exit::NotAllowed {
                stored.authorities.remove(&place.base);
                write(&stored)?;
            }
            Err(failure)
        }
    }
}

/// Keeps what signing in at `base` yielded.
pub(super) fn store(base: &str, login: Login) -> Result<PathBuf> {
    let _lock = lock()?;
    let mut stored = read()?;
    stored.authorities.insert(base.to_owned(), login);
    write(&stored)?;
    file()
}

/// Forgets the sign-in at `base`: what it yielded, if there was one.
pub(super) fn forget(base: &str) -> Result<Option<Login>> {
    let _lock = lock()?;
    let mut stored = read()?;
    let login = stored.authorities.remove(base);
    if login.is_some() {
        write(&stored)?;
    }
    Ok(login)
}

impl Login {
    /// What ends the session.
    pub(super) fn refresh_token(&self) -> &SecretText {
        &self.refresh_token
    }

    /// From an answer of the authority.
    pub(super) fn of(username: String, tokens: &Value) -> Result<Self> {
        let expires_in = tokens.get("expires_in").and_then(Value::as_u64).context("the answer has no expires_in")?;
        Ok(Self {
            username,
            refresh_token: member(tokens, "refresh_token")?,
            access_token: member(tokens, "access_token")?,
            access_ends: now().saturating_add(expires_in),
        })
    }
}

fn member(document: &Value, name: &str) -> Result<SecretText> {
    let text = document.get(name).and_then(Value::as_str).map(SecretText::new);
    text.with_context(|| format!("the answer has no {name}"))
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or(0)
}

fn folder() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().context("no home directory is known: use PROPUSK_TOKEN")?;
    let folder = strategy.config_dir().join("propusk");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn file() -> Result<PathBuf> {
    Ok(folder()?.join("credentials.json"))
}

/// Held while the file is read and written.
fn lock() -> Result<File> {
    let path = folder()?.join("credentials.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = lock.with_context(|| format!("cannot write {}", path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(lock)
}

fn read() -> Result<Stored> {
    let path = file()?;
    match private::read(&path) {
        Err(error) if error.is_missing() => Ok(Stored::default()),
        text => serde_json::from_str(&text?)
            .with_context(|| format!("{} is damaged: remove it and sign in again", path.display())),
    }
}

fn write(stored: &Stored) -> Result<()> {
    Ok(private::replace(&file()?, &Zeroizing::new(serde_json::to_string(stored)?))?)
}
