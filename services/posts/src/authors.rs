//! Who the authors are: one call to `users` for all of them, in the name of the caller.
//!
//! The caller's token is for us and opens nothing at `users`. The authority exchanges it (RFC 8693) for one that does,
//! and that names us as the one who acts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use propusk_verify::exchange::{ExchangeError, TokenExchange};
use propusk_verify::{Permit, RawToken};
use quick_cache::sync::Cache;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

/// The service that knows people, and the audience of its tokens.
const USERS: &str = "users";

/// How many people `users` tells of in one call.
const MAX_IDS: usize = 100;

/// How long a reader may be kept waiting for names.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// How many exchanged tokens are kept.
const MAX_TOKENS: usize = 10_000;

/// An author. Whatever else `users` says of the caller stays here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Author {
    user_id: String,
    username: String,
}

/// Authors by `user_id`.
pub(crate) type Directory = HashMap<String, Author>;

/// Looks authors up.
#[derive(Clone)]
pub(crate) struct Authors {
    /// `…/users`.
    users_url: String,
    http: reqwest::Client,
    exchange: TokenExchange,
    /// Exchanged tokens by the `jti` of the token that they were exchanged for.
    tokens: Arc<Cache<String, RawToken>>,
}

#[derive(Debug, thiserror::Error)]
enum LookUpError {
    #[error("the token could not be exchanged: {0}")]
    Exchange(#[from] ExchangeError),
    #[error("users could not be asked: {0}")]
    Users(#[from] reqwest::Error),
    #[error("users took too long")]
    TooSlow(#[from] tokio::time::error::Elapsed),
}

impl Authors {
    pub(crate) fn new(http: reqwest::Client, users_url: &str, exchange: TokenExchange) -> Self {
        let users_url = format!("{}/users", users_url.trim_end_matches('/'));
        Self { users_url, http, exchange, tokens: Arc::new(Cache::new(MAX_TOKENS)) }
    }

    /// The authors that `users` tells of. When it is away or slow they are all missing, and posts are shown without.
    pub(crate) async fn look_up<'a>(&self, caller: &Permit, ids: impl IntoIterator<Item = &'a str>) -> Directory {
        let ids: Vec<&str> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let asked = tokio::time::timeout(TIMEOUT, self.ask_all(caller, &ids)).await;
        asked.map_err(LookUpError::from).flatten().unwrap_or_else(|error| {
            tracing::warn!(%error, "posts are shown without their authors");
            Directory::new()
        })
    }

    async fn ask_all(&self, caller: &Permit, ids: &[&str]) -> Result<Directory, LookUpError> {
        let mut found = Directory::new();
        for ids in ids.chunks(MAX_IDS) {
            let authors = self.ask(caller, &ids.join(",")).await?;
            found.extend(authors.into_iter().map(|author| (author.user_id.clone(), author)));
        }
        Ok(found)
    }

    async fn ask(&self, caller: &Permit, ids: &str) -> Result<Vec<Author>, LookUpError> {
        let jti = &caller.claims().jti;
        if let Some(kept) = self.tokens.get(jti) {
            let answer = self.get(&kept, ids).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer.error_for_status()?.json().await?);
            }
            // It has ended, or something has changed since. A new one may be good all the same.
        }
        let token = self.exchange.exchange(&caller.token(), USERS).await?;
        self.tokens.insert(jti.clone(), token.clone());
        Ok(self.get(&token, ids).await?.error_for_status()?.json().await?)
    }

    async fn get(&self, token: &RawToken, ids: &str) -> Result<reqwest::Response, reqwest::Error> {
        let url = format!("{}?ids={ids}", self.users_url);
        self.http.get(url).bearer_auth(token.expose()).send().await
    }
}
