//! What the demo services have in common: what they are told, how they follow the authority, and their database.
//!
//! A service says in its own `lib.rs` what its routes demand and what it keeps; here is the frame around that. A service
//! of yours needs no more of it than [`Service`]: a feed, a verifier that decides by it, and a release at the end.

pub mod db;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use propusk_verify::Verifier;
use propusk_verify::axum::{Listener, serve_router};
use propusk_verify::decision::PastBound;
use propusk_verify::exchange::{ExchangeConfigError, TokenExchange};
use propusk_verify::feed::{Feed, FeedClient, FeedConfigError, FeedOptions};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use zeroize::Zeroizing;

use crate::db::{Db, OpenError};

/// A connection to another service is not used again after this long; servers close theirs a little later.
const IDLE: Duration = Duration::from_secs(60);

/// What every service needs to know.
#[derive(Clone)]
pub struct Config {
    /// The `iss` of the tokens that are taken.
    pub issuer: String,
    /// URL of the authority's gRPC listener: keys, policies, revocations.
    pub feed: String,
    /// Base URL of the authority, as in `http://127.0.0.1:8081`.
    pub authority: String,
    /// Our own client at the authority.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Zeroizing<String>,
    /// Certificates to trust when we call others, PEM; without them, the machine's own.
    pub roots_pem: Option<String>,
    /// The SQLite file.
    pub database: PathBuf,
    /// How the authority's log is followed.
    pub feed_options: FeedOptions,
    /// How old our view of what was revoked may be for an ordinary decision.
    pub max_staleness: Duration,
    /// What to do when it is older.
    pub past_bound: PastBound,
    /// How far the authority's clock and ours may differ.
    pub leeway: Duration,
    /// Says in `Propusk-Decision` how a token was judged.
    pub debug_headers: bool,
    /// Answers `/-/` to everyone, not only to loopback.
    pub ops_anywhere: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("issuer", &self.issuer)
            .field("feed", &self.feed)
            .field("authority", &self.authority)
            .field("client_id", &self.client_id)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("the database {}: {reason}", path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: OpenError,
    },
    /// The authority's gRPC listener cannot be followed as configured.
    #[error(transparent)]
    Feed(#[from] FeedConfigError),
    /// Tokens cannot be exchanged as configured.
    #[error(transparent)]
    Exchange(#[from] ExchangeConfigError),
    /// No HTTP client could be made.
    #[error("the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

impl Config {
    /// Opens the database; its schema is made by these steps.
    ///
    /// # Errors
    /// [`StartError::Database`].
    pub fn open_database(&self, steps: &[&str]) -> Result<Db, StartError> {
        Db::open(&self.database, steps).map_err(|reason| StartError::Database { path: self.database.clone(), reason })
    }

    /// An [`http_client`] that trusts what is configured.
    ///
    /// # Errors
    /// [`StartError::Http`].
    pub fn http_client(&self, timeout: Duration) -> Result<Client, StartError> {
        Ok(http_client(timeout, self.roots_pem.as_deref())?)
    }

    /// The authority's token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth/token", self.authority.trim_end_matches('/'))
    }

    /// Turns our callers' tokens into tokens for other services.
    ///
    /// # Errors
    /// [`StartError::Exchange`].
    pub fn token_exchange(&self) -> Result<TokenExchange, StartError> {
        let roots = self.roots_pem.as_deref();
        Ok(TokenExchange::new_trusting(&self.token_endpoint(), &self.client_id, &self.client_secret, roots)?)
    }
}

/// A client for calls to others, each of which may take `timeout`, all in all. `https` trusts these roots and no others;
/// without them, the machine's own.
///
/// # Errors
/// When the roots cannot be read, or the machine has none.
pub fn http_client(timeout: Duration, roots_pem: Option<&str>) -> Result<Client, reqwest::Error> {
    let builder = Client::builder().timeout(timeout).pool_idle_timeout(IDLE).redirect(Policy::none()).no_proxy();
    match roots_pem {
        Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?).build(),
        None => builder.build(),
    }
}

/// A service that follows the authority, and is about to serve.
#[derive(Debug)]
pub struct Service {
    feed: Feed,
    verifier: Verifier,
    ops_anywhere: bool,
}

impl Service {
    /// Begins to follow. The authority need not be there yet: until it is, nobody is let in, and `/-/ready` says so.
    ///
    /// # Errors
    /// [`StartError::Feed`].
    pub fn start(audience: &'static str, config: &Config) -> Result<Self, StartError> {
        let roots = config.roots_pem.as_deref();
        let client = FeedClient::connect_lazy_trusting(&config.feed, &config.client_id, &config.client_secret, roots)?;
        let feed = Feed::start_with(client, [audience], config.feed_options.clone());
        let verifier = Verifier::builder()
            .issuer(&config.issuer)
            .audience(audience)
            .feed(&feed)
            .leeway(config.leeway)
            .max_staleness(config.max_staleness)
            .past_bound(config.past_bound)
            .debug_headers(config.debug_headers)
            .build();
        Ok(Self { feed, verifier, ops_anywhere: config.ops_anywhere })
    }

    /// What its routes are guarded by.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Serves these routes until `shutdown`, and takes leave of the authority, which then waits for us no more.
    pub async fn serve(
        self,
        listener: impl Into<Listener>,
        routes: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        let router = serve_router(routes, &self.verifier, self.ops_anywhere);
        propusk_verify::axum::serve(listener, router, shutdown).await;
        self.feed.release().await;
    }
}
