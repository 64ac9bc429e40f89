//! The authority over HTTP and gRPC.
//!
//! A handler parses, calls one operation of `propusk-core`, renders. A file for each call, named as its URL. The
//! routes are put together in [`routes`]; each says in one word who may come: public, ordinary or elite.

mod admin;
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
mod metadata;
mod oauth;
mod sign_in;
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
use propusk_core::env::SystemRandom;
use propusk_core::keys::Signer;
use propusk_core::password::{HasherError, PasswordHasher};
use propusk_core::roles::AUTHORITY_SERVICE;
use propusk_store::{OpenError, SqliteStore};
use propusk_verify::axum::{Ops, Readiness, serve_router_with};
use propusk_verify::jose::KeyRing;
use propusk_verify::verifier::{KeySource, Verifier};
use tokio::net::TcpListener;

pub use bootstrap::BootstrapError;
pub use config::ServerConfig;

use app::App;
use checking::CommittedState;
use hashing::HashingPool;

/// The sockets that the authority serves on, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// JSON, OAuth, keys, admin API, operations.
    pub http: TcpListener,
    /// gRPC, for verifiers.
    pub feed: TcpListener,
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
        let (app, options) = open(config).await?;
        let verifier = own_verifier(&app, options.debug_decision_headers);
        let shutdown = shutdown.boxed().shared();
        let router = routes(&app, &verifier, options.ops_anywhere);
        let servers = vec![
            tokio::spawn(serve_http(listeners.http, router, shutdown.clone())),
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
        settings: config.settings,
        signer: Signer::new(config.kek),
        hashing: HashingPool::start(hasher, config.hash_queue)?,
        rings: ArcSwap::default(),
        own_ring: Arc::new(ArcSwap::from_pointee(KeyRing::default())),
        feed,
        revoke_wait_limit: config.revoke_wait_limit,
        jwks_max_age: config.jwks_max_age,
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
    let api = Router::new()
        .merge(auth::routes(verifier))
        .merge(oauth::routes(verifier))
        .merge(keys::routes(verifier))
        .merge(metadata::routes(verifier))
        .merge(admin::routes(verifier))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(Extension(verifier.clone()))
        .with_state(Arc::clone(app));
    let mut ops = Ops::new(verifier, ops_anywhere);
    let database = Arc::clone(app);
    ops.readiness.push(Readiness::new("database", move || {
        let app = Arc::clone(&database);
        async move { app.read(|tx, _| tx.log_state()).await.is_ok() }
    }));
    serve_router_with(api, verifier, ops)
}

async fn serve_http(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(shutdown).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn serve_feed(listener: TcpListener, app: Arc<App>, shutdown: Shutdown) {
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(256)
        .http2_max_pending_accept_reset_streams(Some(64))
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .tcp_nodelay(true)
        .add_service(feed::service(app))
        .serve_with_incoming_shutdown(incoming, shutdown);
    if let Err(error) = served.await {
        tracing::error!(%error, "the feed server ended");
    }
}
