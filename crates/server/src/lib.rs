//! The authority over HTTP and gRPC.
//!
//! A handler parses, calls one operation of `propusk-core`, renders. A file for each call, named as its URL. The
//! routes are put together in [`routes`]; each says in one word who may come: public, ordinary or elite.

mod admin;
mod api;
mod app;
mod auth;
mod bootstrap;
mod checking;
mod config;
pub mod demo;
mod enforcement;
mod error;
mod extract;
mod feed;
mod guard;
mod hashing;
mod housekeeping;
mod keys;
mod known_tokens;
mod metadata;
mod oauth;
mod rotation;
mod sign_in;
mod throttle;
mod tokens;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use parking_lot::Mutex;
use propusk_core::env::SystemRandom;
use propusk_core::keys::{Published, Signer};
use propusk_core::password::{HasherError, PasswordHasher};
use propusk_core::roles::AUTHORITY_SERVICE;
use propusk_store::{OpenError, SqliteStore};
use propusk_verify::axum::{Listener, Ops, Readiness, Server, serve, serve_router_with};
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::jose::KeyRing;
use propusk_verify::verifier::{KeySource, Verifier};
use tower::ServiceBuilder;

pub use bootstrap::BootstrapError;
pub use config::ServerConfig;

use api::Api;
use app::App;
use checking::CommittedState;
use hashing::HashingPool;
use known_tokens::KnownTokens;
use throttle::Throttle;

/// The sockets that the authority serves on, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// JSON, OAuth, keys, admin API, operations.
    pub http: Listener,
    /// gRPC, for verifiers. It carries keys: beyond loopback it has to speak TLS.
    pub feed: Listener,
}

/// Why the authority did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// argon2's parameters are refused.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// Built-in data or keys.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// What verifiers are told, symmetric keys among it, would cross the network in the clear.
    #[error("{0} is reached from other machines, and the feed goes there by TLS only")]
    FeedInTheClear(SocketAddr),
    /// A thread or socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// An authority that serves.
pub struct Authority {
    pub(crate) app: Arc<App>,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the store, makes what is missing, and serves until `shutdown` is there.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: ServerConfig,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartError> {
        refuse_feed_in_the_clear(&listeners.feed)?;
        let (app, options) = open(config).await?;
        let verifier = own_verifier(&app, options.debug_decision_headers);
        let shutdown = shutdown.boxed().shared();
        let router = routes(&app, &verifier, options.ops_anywhere);
        let servers = vec![
            tokio::spawn(serve(listeners.http, router, shutdown.clone())),
            tokio::spawn(serve_feed(listeners.feed, Arc::clone(&app), shutdown.clone())),
            tokio::spawn(feed::follow_log(Arc::clone(&app), shutdown.clone())),
            tokio::spawn(housekeeping::run(Arc::clone(&app), shutdown)),
        ];
        Ok(Self { app, servers })
    }

    /// Waits until everything that was begun before `shutdown` is answered, and closes the store.
    pub async fn finished(self) {
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "a server ended badly");
            }
        }
        self.app.store.close().await;
    }
}

type Shutdown = Shared<futures_util::future::BoxFuture<'static, ()>>;

struct ServingOptions {
    debug_decision_headers: bool,
    ops_anywhere: bool,
}

async fn open(config: ServerConfig) -> Result<(Arc<App>, ServingOptions), StartError> {
    let store = SqliteStore::open(&config.database, config.synchronous)?;
    let feed = feed::FeedState::prepare(&store, config.lease).await.map_err(BootstrapError::from)?;
    let hasher = PasswordHasher::new(config.settings.argon2, &SystemRandom)?;
    let app = Arc::new(App {
        store,
        settings: Arc::new(config.settings),
        signer: Signer::new(config.kek),
        hashing: HashingPool::start(hasher, config.hash_queue)?,
        throttle: Throttle::new(config.throttle),
        trusted_proxies: config.trusted_proxies,
        rings: ArcSwap::default(),
        known_tokens: KnownTokens::default(),
        own_ring: Arc::new(ArcSwap::from_pointee(KeyRing::default())),
        feed,
        revoke_wait_limit: config.revoke_wait_limit,
        published: Mutex::new(Published::start(SystemClock.moment())),
        reloading: tokio::sync::Mutex::default(),
        key_schedule: config.key_schedule,
        publish_all_keys: config.publish_all_keys,
    });
    housekeeping::raise_limits(&app).await.map_err(BootstrapError::from)?;
    bootstrap::ensure(&app, config.bootstrap_admin_secret).await?;
    app.reload_rings().await.map_err(BootstrapError::from)?;
    let options =
        ServingOptions { debug_decision_headers: config.debug_decision_headers, ops_anywhere: config.ops_anywhere };
    Ok((app, options))
}

/// The authority guards its own calls by the same means as every service.
fn own_verifier(app: &Arc<App>, debug_headers: bool) -> Verifier {
    Verifier::builder()
        .issuer(app.settings.issuer.clone())
        .audience(AUTHORITY_SERVICE)
        .keys(KeySource::shared(Arc::clone(&app.own_ring)))
        .check(Arc::new(CommittedState(Arc::clone(app))))
        .leeway(app.settings.leeway)
        .debug_headers(debug_headers)
        .build()
}

fn routes(app: &Arc<App>, verifier: &Verifier, ops_anywhere: bool) -> Router {
    let (api, document) = Api::new()
        .merge(auth::routes(verifier))
        .merge(oauth::routes(verifier))
        .merge(keys::routes(verifier))
        .merge(metadata::routes(verifier))
        .merge(admin::routes(verifier))
        .finish();
    // One layer for all three: each costs every request a boxed call.
    let around = ServiceBuilder::new()
        .layer(Extension(document))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(verifier.clone()));
    let api = api.layer(around).with_state(Arc::clone(app));
    let mut ops = Ops::new(verifier, ops_anywhere);
    app.throttle.register(ops.metrics.registry());
    let database = Arc::clone(app);
    ops.readiness.push(Readiness::new("database", move || {
        let app = Arc::clone(&database);
        async move { app.read(|tx, _| tx.log_state()).await.is_ok() }
    }));
    serve_router_with(api, verifier, ops)
}

fn refuse_feed_in_the_clear(feed: &Listener) -> Result<(), StartError> {
    let address = feed.local_addr()?;
    if may_carry_keys(address, feed.is_tls()) { Ok(()) } else { Err(StartError::FeedInTheClear(address)) }
}

fn may_carry_keys(address: SocketAddr, is_tls: bool) -> bool {
    is_tls || address.ip().to_canonical().is_loopback()
}

/// A verifier's stream never ends by itself, and it comes back to whoever serves next: no use to wait for it.
const FEED_DRAIN: Duration = Duration::from_millis(250);

async fn serve_feed(listener: Listener, app: Arc<App>, shutdown: Shutdown) {
    Server::on(listener).http2_only().drain(FEED_DRAIN).run(feed::routes(app), shutdown).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_leaves_the_machine_by_tls_only() {
        for (address, in_the_clear) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(may_carry_keys(address, false), in_the_clear, "{address}");
            assert!(may_carry_keys(address, true), "{address}");
        }
    }
}
