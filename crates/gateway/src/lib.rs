//! The edge proxy of Propusk: cookie sessions and Basic outside, bearer tokens inside.
//!
//! A request brings exactly one credential: the session cookie, Basic, or a bearer token. Whatever it is, it ends in an
//! access token for the audience of the route, and the gateway decides on that token before it forwards anything. It
//! depends on `propusk-verify` alone: the data plane cannot reach the authority's data.
//!
//! | module | what it is for |
//! |---|---|
//! | `server`, `service` | connections, stopping; one request, one answer |
//! | `framing` | where a request ends, decided strictly before the HTTP engine sees a byte |
//! | `proxy`, `authorize`, `forward`, `watch` | a routed request: from credential to token to upstream and back |
//! | `session`, `basic`, `ended` | which tokens a session has, and that none is left behind |
//! | `own`, `pages`, `navigation`, `ops` | what the gateway answers itself |
//! | `csrf`, `credential`, `hygiene`, `forwarded`, `return_to`, `routes` | the rules, each a plain function |
//! | `pool`, `body`, `authority` | connections to others |
//!
//! An answer of its own: write a function from request to answer in `own`, give it a path in `service`, and name the
//! path in `routes::OWN_PATHS`, so that no route can take it.

mod authority;
mod authorize;
mod basic;
mod body;
mod config;
mod credential;
mod csrf;
mod ended;
mod forward;
mod forwarded;
mod framing;
mod gateway;
mod hygiene;
mod metrics;
mod navigation;
mod ops;
mod own;
mod pages;
mod pool;
mod problem;
mod proxy;
mod random;
mod request_id;
mod return_to;
mod routes;
mod secret;
mod server;
mod service;
mod session;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use propusk_verify::Verifier;
use propusk_verify::feed::{Feed, FeedClient, FeedConfigError};
use propusk_verify::tls::TlsError;
use tokio::net::TcpListener;

pub use config::{ConfigError, GatewayConfig, Limits, Network, Route, RouteClass, Timeouts};
pub use propusk_verify::decision::PastBound;

use gateway::Gateway;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everything in the configuration that cannot be right.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<ConfigError>),
    /// The feed's address or the credentials for it make no sense.
    #[error("feed: {0}")]
    Feed(#[from] FeedConfigError),
    /// The trusted roots cannot be read.
    #[error("trusted roots: {0}")]
    Tls(#[from] TlsError),
    /// The cryptographic library refused to work.
    #[error("the cryptographic library or the system's random generator failed")]
    Crypto,
}

/// How long the authority is given to hear that no lease will be used any more.
const RELEASE: Duration = Duration::from_millis(500);

/// Serves on `listener` until `shutdown` resolves, and then for at most [`Timeouts::drain`] and about a second.
///
/// It decides by the authority's feed; `/-/ready` says 503 until that has been heard once.
///
/// # Errors
/// [`StartError`], before the first connection is accepted.
pub async fn serve(
    listener: TcpListener,
    config: GatewayConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let GatewayConfig { feed, client_id, client_secret, roots_pem, .. } = &config;
    let client = FeedClient::connect_lazy_trusting(feed, client_id, client_secret, roots_pem.as_deref())?;
    let audiences: BTreeSet<&str> = config.routes.iter().map(|route| route.audience.as_str()).collect();
    let feed = Feed::start_with(client, audiences.iter().copied(), config.feed_options.clone());
    let verifiers: Vec<Verifier> = audiences.iter().map(|audience| verifier(&config, audience, &feed)).collect();
    let served = serve_with(listener, config, &verifiers, shutdown).await;
    if tokio::time::timeout(RELEASE, feed.release()).await.is_err() {
        tracing::debug!("the authority did not hear that the lease is over");
    }
    served
}

/// The same with verifiers that somebody else made, one for each audience of a route; no feed is followed.
///
/// # Errors
/// [`StartError`], before the first connection is accepted.
pub async fn serve_with(
    listener: TcpListener,
    config: GatewayConfig,
    verifiers: &[Verifier],
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let (gateway, waiting) = Gateway::new(config, verifiers)?;
    server::run(listener, Arc::new(gateway), waiting, shutdown).await;
    Ok(())
}

fn verifier(config: &GatewayConfig, audience: &str, feed: &Feed) -> Verifier {
    Verifier::builder()
        .issuer(&config.issuer)
        .audience(audience)
        .feed(feed)
        .leeway(config.leeway)
        .max_staleness(config.max_staleness)
        .past_bound(config.past_bound)
        .debug_headers(config.debug_headers)
        .build()
}
