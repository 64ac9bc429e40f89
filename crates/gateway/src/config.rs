//! The gateway's configuration, typed. Files and environment are read by the `propusk` binary alone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use propusk_verify::decision::PastBound;
use propusk_verify::feed::FeedOptions;
pub use propusk_verify::forwarded::Network;
use url::Url;
use zeroize::Zeroizing;

/// All that a gateway needs to know. [`GatewayConfig::new`] fills in the defaults.
#[derive(Clone)]
pub struct GatewayConfig {
    /// The `iss` of the access tokens.
    pub issuer: String,
    /// Base URL of the authority, as in `http://127.0.0.1:8081`.
    pub authority: String,
    /// URL of the authority's gRPC listener, which tells of keys and revocations, as in `http://127.0.0.1:8083`.
    pub feed: String,
    /// How the authority's log is followed.
    pub feed_options: FeedOptions,
    /// The gateway's own client at the authority; first-party, with the password and refresh grants.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Zeroizing<String>,
    /// Seals the session cookies.
    pub cookie_key: Zeroizing<[u8; 32]>,
    /// Keys that sealed them before; cookies under these are still opened, and replaced at the next refresh.
    pub previous_cookie_keys: Vec<Zeroizing<[u8; 32]>>,
    /// Speaks TLS with its clients, by these certificates; without it plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Trusts only these certificates, PEM, at authority and upstreams; without them those of the machine.
    pub roots_pem: Option<String>,
    /// Where browsers see this gateway, as in `https://example.com`. Without it the `Host` of a request counts.
    pub public_origin: Option<String>,
    /// Proxies in front of this one; what they say in `Forwarded` and `X-Forwarded-*` is kept.
    pub trusted_proxies: Vec<Network>,
    /// What is forwarded, and where to.
    pub routes: Vec<Route>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How much of everything.
    pub limits: Limits,
    /// How far the clocks of authority and gateway may differ when a token is checked.
    pub leeway: Duration,
    /// How old the gateway's view of revocations may be for ordinary routes.
    pub max_staleness: Duration,
    /// What ordinary routes do past that, unless the route says otherwise.
    pub past_bound: PastBound,
    /// Adds `Propusk-Decision` to answers.
    pub debug_headers: bool,
    /// Answers `/-/` to everyone, not only to loopback.
    pub ops_anywhere: bool,
}

impl GatewayConfig {
    /// A configuration with every default and no routes.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        authority: impl Into<String>,
        feed: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        cookie_key: Zeroizing<[u8; 32]>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            authority: authority.into(),
            feed: feed.into(),
            feed_options: FeedOptions::default(),
            client_id: client_id.into(),
            client_secret: Zeroizing::new(client_secret.into()),
            cookie_key,
            previous_cookie_keys: Vec::new(),
            tls: None,
            roots_pem: None,
            public_origin: None,
            trusted_proxies: Vec::new(),
            routes: Vec::new(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            leeway: Duration::from_secs(5),
            max_staleness: Duration::from_secs(5),
            past_bound: PastBound::Refuse,
            debug_headers: false,
            ops_anywhere: false,
        }
    }
}

impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("issuer", &self.issuer)
            .field("authority", &self.authority)
            .field("client_id", &self.client_id)
            .field("public_origin", &self.public_origin)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// One row of the route table. [`Route::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct Route {
    /// Only for this host (no port, any case); `None` is every host that has no row of its own.
    pub host: Option<String>,
    /// `/users/**` is `/users` and all below it; without `/**` exactly that path.
    pub path: String,
    /// Where it goes: scheme, host and port. The path stays as it is.
    pub upstream: String,
    /// The service that the token must be for.
    pub audience: String,
    /// How current the decision on the token has to be.
    pub class: RouteClass,
    /// What the caller must be allowed to do, as in `cars:buy`; the service may demand more.
    pub permission: Option<String>,
    /// What this route does when the view of revocations is too old; without it as [`GatewayConfig::past_bound`] says.
    pub past_bound: Option<PastBound>,
}

impl Route {
    /// An ordinary route for every host.
    #[must_use]
    pub fn new(path: impl Into<String>, upstream: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            host: None,
            path: path.into(),
            upstream: upstream.into(),
            audience: audience.into(),
            class: RouteClass::Ordinary,
            permission: None,
            past_bound: None,
        }
    }
}

/// How current a decision on a token has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteClass {
    /// From memory, within the bound on staleness.
    #[default]
    Ordinary,
    /// Under a lease, or asked of the authority for this very request.
    Elite,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a request's head is complete; also how long a client's connection may be idle.
    pub header_read: Duration,
    /// Until an upstream has accepted a connection.
    pub connect: Duration,
    /// Until an upstream begins its answer, counted from the last byte of the request that moved.
    pub response_header: Duration,
    /// For a call to the authority, all in all, the wait for its turn included.
    pub authority: Duration,
    /// After which an unused connection to an upstream is closed.
    pub idle: Duration,
    /// A client that takes no byte of an answer for so long is cut off.
    pub write_stall: Duration,
    /// For what is still being answered when the gateway is told to stop.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(15),
            connect: Duration::from_secs(3),
            response_header: Duration::from_secs(30),
            authority: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
            drain: Duration::from_millis(3500),
        }
    }
}

/// How much of everything; all memory that clients can cause to be used is bounded by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of a body that the gateway itself reads (sign-in).
    pub own_body_bytes: usize,
    /// Sessions whose state is kept in memory; others live in their cookies alone.
    pub sessions: usize,
    /// Basic credentials whose tokens are kept.
    pub basic: usize,
    /// Calls to the authority at a time. Sixteen times as many may wait for their turn; to more the answer is `busy`.
    pub authority_calls: usize,
    /// Unused connections kept for one upstream.
    pub idle_per_upstream: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 32 * 1024,
            target_bytes: 8 * 1024,
            headers: 100,
            own_body_bytes: 16 * 1024,
            sessions: 10_000,
            basic: 2_000,
            authority_calls: 128,
            idle_per_upstream: 64,
        }
    }
}

/// Something in the configuration that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Which setting.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

/// Parses a URL that is scheme, host and port only, and gives it back without a trailing slash.
pub(crate) fn parse_origin(key: &str, text: &str) -> Result<Url, ConfigError> {
    let wrong = || ConfigError::new(key, format!("{text:?} is not of the form http://host:port or https://host"));
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain { Ok(url) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        assert!(parse_origin("x", "http://127.0.0.1:8081").is_ok());
        assert!(parse_origin("x", "https://example.com/").is_ok());
        for wrong in ["", "example.com", "ftp://a", "http://a/b", "http://u@a", "http://a?b", "http://a#b"] {
            assert!(parse_origin("x", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = GatewayConfig::new("i", "a", "f", "gateway", "psk_secret", Zeroizing::new([7; 32]));
        let text = format!("{config:?}");
        assert!(!text.contains("psk_secret") && !text.contains('7'), "{text}");
    }
}
