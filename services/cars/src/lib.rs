//! `cars`: cars for sale, paid from an account that another service keeps. An example to copy from.
//!
//! | call | class, who |
//! |---|---|
//! | `GET /cars`, `GET /cars/{car_id}` | ordinary, any token |
//! | `POST /cars/{car_id}/buy` | elite, people with `cars:buy` |
//! | `POST /cars`, `DELETE /cars/{car_id}` | elite, `cars:create`, `cars:delete` |
//! | `GET /cars/-/whoami`, `GET /cars/-/whoami/elite` | ordinary, elite; any token |
//!
//! What a route demands is said where it is declared, in `routes`. How a purchase over two services neither charges
//! twice nor loses a sale is in `sale`.

#[cfg(test)]
#[path = "../../testing.rs"]
mod testing;
#[cfg(test)]
mod tests;

mod accounts;
mod buy;
mod calls;
mod catalogue;
mod db;
mod recovery;
mod sale;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use propusk_verify::Verifier;
use propusk_verify::axum::{Listener, serve_router, whoami};
use propusk_verify::decision::PastBound;
use propusk_verify::exchange::{ExchangeConfigError, TokenExchange};
use propusk_verify::feed::{Feed, FeedClient, FeedConfigError, FeedOptions};
use zeroize::Zeroizing;

use crate::accounts::Accounts;
use crate::db::Db;

pub use crate::db::OpenError;

/// Our own id: the audience of the tokens that we take.
const SERVICE: &str = "cars";

/// How long one call to another service may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// All that the service needs to know.
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
    /// Base URL of `users`, which keeps the accounts.
    pub users_url: String,
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
            .field("users_url", &self.users_url)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Why the service did not start, or ended on its own.
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

/// Serves until `shutdown`. The authority need not be there yet: until it is, nobody is let in, and `/-/ready` says so.
///
/// # Errors
/// [`StartError`].
pub async fn serve(
    listener: impl Into<Listener>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let db =
        Db::open(&config.database).map_err(|reason| StartError::Database { path: config.database.clone(), reason })?;
    let roots = config.roots_pem.as_deref();
    let authority = FeedClient::connect_lazy_trusting(&config.feed, &config.client_id, &config.client_secret, roots)?;
    let feed = Feed::start_with(authority, [SERVICE], config.feed_options);
    let verifier = Verifier::builder()
        .issuer(config.issuer)
        .audience(SERVICE)
        .feed(&feed)
        .leeway(config.leeway)
        .max_staleness(config.max_staleness)
        .past_bound(config.past_bound)
        .debug_headers(config.debug_headers)
        .build();
    let token_endpoint = format!("{}/oauth/token", config.authority.trim_end_matches('/'));
    let exchange = TokenExchange::new_trusting(&token_endpoint, &config.client_id, &config.client_secret, roots)?;
    let accounts = Accounts::new(
        calls::client(CALL_TIMEOUT, roots)?,
        &config.users_url,
        token_endpoint,
        config.client_id,
        config.client_secret,
        exchange,
    );
    let cars = Cars { db, accounts };
    let router = serve_router(routes(&verifier, cars.clone()), &verifier, config.ops_anywhere);
    tokio::select! {
        () = propusk_verify::axum::serve(listener, router, shutdown) => {}
        never = recovery::run(cars) => match never {},
    }
    feed.release().await;
    Ok(())
}

/// What every handler may use.
#[derive(Clone)]
struct Cars {
    db: Db,
    accounts: Accounts,
}

/// Every route with its class. Nothing is public.
fn routes(verifier: &Verifier, cars: Cars) -> Router {
    Router::new()
        .route("/cars", get(catalogue::list).layer(verifier.ordinary()))
        .route("/cars", post(catalogue::create).layer(verifier.elite().permission("cars:create")))
        .route("/cars/{car_id}", get(catalogue::one).layer(verifier.ordinary()))
        .route("/cars/{car_id}", delete(catalogue::remove).layer(verifier.elite().permission("cars:delete")))
        .route("/cars/{car_id}/buy", post(buy::buy).layer(verifier.elite().permission("cars:buy")))
        .route("/cars/-/whoami", get(whoami).layer(verifier.ordinary()))
        .route("/cars/-/whoami/elite", get(whoami).layer(verifier.elite()))
        .with_state(cars)
}
