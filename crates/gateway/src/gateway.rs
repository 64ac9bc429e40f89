//! All that the gateway's requests share, made once from the configuration.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use propusk_verify::Verifier;
use propusk_verify::feed::View;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::authority::{Authority, Calls};
use crate::basic::BasicSessions;
use crate::config::{ConfigError, GatewayConfig, Limits, Network, Timeouts, parse_origin};
use crate::ended::{self, EndedSessions, Waiting};
use crate::forwarded::Origin;
use crate::framing::HeadLimits;
use crate::metrics::Metrics;
use crate::pool::{self, Connector, Upstream};
use crate::routes::RouteTable;
use crate::session::Sessions;
use crate::session::cookie::CookieCodec;
use crate::{StartError, request_id};

/// The state of a running gateway.
pub(crate) struct Gateway {
    pub(crate) routes: RouteTable,
    pub(crate) authority: Arc<Authority>,
    pub(crate) cookies: CookieCodec,
    pub(crate) sessions: Sessions,
    pub(crate) basic: Arc<BasicSessions>,
    pub(crate) ended: EndedSessions,
    pub(crate) metrics: Metrics,
    pub(crate) public_origin: Option<Url>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) ops_anywhere: bool,
    pub(crate) debug_headers: bool,
    pub(crate) tls: Option<TlsAcceptor>,
    /// An answer that lasts longer is decided on again.
    pub(crate) max_staleness: Duration,
    is_https: bool,
    trusted_proxies: Vec<Network>,
    upstreams: Vec<Arc<Upstream>>,
    stopping: AtomicBool,
}

/// What is known of every request from its beginning on.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) request_id: String,
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// Who is behind it.
    pub(crate) origin: Origin,
}

impl Gateway {
    /// Reads the configuration; `verifiers` has one for each audience of a route. The second part has to be run.
    pub(crate) fn new(config: GatewayConfig, verifiers: &[Verifier]) -> Result<(Self, Waiting), StartError> {
        let mut errors = Vec::new();
        let public_origin = config.public_origin.as_deref().map(|text| parse_origin("public_origin", text));
        let public_origin = keep(public_origin.transpose(), &mut errors).flatten();
        let authority_url = keep(parse_origin("authority", &config.authority), &mut errors);
        let needs_tls = config.routes.iter().map(|route| &route.upstream).chain([&config.authority]);
        let needs_tls = needs_tls.into_iter().any(|url| url.starts_with("https:"));
        let connector = pool::connector(needs_tls, config.roots_pem.as_deref())?;
        let mut upstreams = Upstreams { connector, limits: config.limits, timeouts: config.timeouts, made: Vec::new() };
        let routes = route_table(&config, verifiers, &mut upstreams, &mut errors);
        let authority = authority_url.and_then(|url| keep(upstreams.get("authority", &url), &mut errors));
        let (Some(authority), true) = (authority, errors.is_empty()) else {
            return Err(StartError::Config(errors));
        };
        let Timeouts { connect, authority: timeout, .. } = config.timeouts;
        let calls = Calls { connect, timeout, at_a_time: config.limits.authority_calls };
        let authority = Authority::new(authority, &config.client_id, &config.client_secret, calls)
            .map_err(|_| StartError::Config(vec![ConfigError::new("client_secret", "it cannot stand in a header")]))?;
        let cookies = CookieCodec::new([&config.cookie_key].into_iter().chain(&config.previous_cookie_keys));
        let (ended, waiting) = ended::channel();
        let is_https = config.tls.is_some() || public_origin.as_ref().is_some_and(|url| url.scheme() == "https");
        let gateway = Self {
            routes,
            authority: Arc::new(authority),
            cookies: cookies.map_err(|_| StartError::Crypto)?,
            sessions: Sessions::new(config.limits.sessions),
            basic: Arc::new(BasicSessions::new(config.limits.basic, ended.clone()).map_err(|_| StartError::Crypto)?),
            ended,
            metrics: Metrics::new(),
            public_origin,
            timeouts: config.timeouts,
            limits: config.limits,
            ops_anywhere: config.ops_anywhere,
            debug_headers: config.debug_headers,
            tls: config.tls.as_deref().map(acceptor),
            max_staleness: config.max_staleness,
            is_https,
            trusted_proxies: config.trusted_proxies,
            upstreams: upstreams.made.into_iter().map(|(_, upstream)| upstream).collect(),
            stopping: AtomicBool::new(false),
        };
        Ok((gateway, waiting))
    }

    /// What is known of a request that came from `peer`.
    pub(crate) fn context(&self, peer: IpAddr, headers: &http::HeaderMap) -> Context {
        let origin = Origin::of(headers, peer, &self.trusted_proxies, self.is_https);
        Context { request_id: request_id::of(headers), peer, origin }
    }

    pub(crate) fn head_limits(&self) -> HeadLimits {
        let Limits { head_bytes, target_bytes, headers, .. } = self.limits;
        HeadLimits { head_bytes, target_bytes, headers }
    }

    /// Drops what has ended or was not used for long.
    pub(crate) fn sweep(&self) {
        self.basic.sweep();
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }

    /// What the verifiers know of revocations, where they follow a feed: one view for all of them.
    pub(crate) fn view(&self) -> Option<&Arc<View>> {
        self.routes.first().and_then(|target| target.verifier.view())
    }

    /// From now on it is not ready any more.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Clients speak HTTP/1.1 with us, whatever else the certificates are used for.
fn acceptor(tls: &rustls::ServerConfig) -> TlsAcceptor {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(tls))
}

/// One pool for each server, however many routes lead to it.
struct Upstreams {
    connector: Connector,
    limits: Limits,
    timeouts: Timeouts,
    made: Vec<(Url, Arc<Upstream>)>,
}

impl Upstreams {
    fn get(&mut self, key: &str, url: &Url) -> Result<Arc<Upstream>, ConfigError> {
        if let Some((_, upstream)) = self.made.iter().find(|(made, _)| made == url) {
            return Ok(upstream.clone());
        }
        let (most, idle) = (self.limits.idle_per_upstream, self.timeouts.idle);
        let upstream = Upstream::new(url, self.connector.clone(), most, idle)
            .map_err(|error| ConfigError::new(key, error.to_string()))?;
        self.made.push((url.clone(), upstream.clone()));
        Ok(upstream)
    }
}

fn route_table(
    config: &GatewayConfig,
    verifiers: &[Verifier],
    upstreams: &mut Upstreams,
    errors: &mut Vec<ConfigError>,
) -> RouteTable {
    let verifiers: HashMap<&str, &Verifier> = verifiers.iter().map(|one| (one.audience(), one)).collect();
    let mut table = RouteTable::default();
    for (index, route) in config.routes.iter().enumerate() {
        let key = format!("routes[{index}]");
        let upstream = parse_origin(&format!("{key}.upstream"), &route.upstream)
            .and_then(|url| upstreams.get(&format!("{key}.upstream"), &url));
        let Some(verifier) = verifiers.get(route.audience.as_str()) else {
            errors.push(ConfigError::new(format!("{key}.audience"), format!("no verifier for {:?}", route.audience)));
            continue;
        };
        let added = upstream.and_then(|upstream| table.insert(&key, route, upstream, (*verifier).clone()));
        keep(added, errors);
    }
    table
}

fn keep<T>(result: Result<T, ConfigError>, errors: &mut Vec<ConfigError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}
