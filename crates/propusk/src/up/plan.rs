//! What `up` runs: the configuration completed with addresses and files, and the sockets, bound.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::config::{Config, ConfigError, ConfigErrors, Issuer, Origin, RouteSpec, Routes, Setting as _};
use crate::data::DataDir;
use crate::exit::Failure;
use crate::ports;
use crate::serve::{Part, Service};
use crate::tls::Tls;

use super::probe::Probe;

/// A system that is about to run.
#[derive(Debug)]
pub(super) struct Plan {
    config: Config,
    pub(super) data: DataDir,
    pub(super) tls: Tls,
    probe: Probe,
}

/// The sockets of all parts.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) http: BTreeMap<Part, TcpListener>,
    pub(super) feed: TcpListener,
}

impl Plan {
    /// Binds every socket, and makes the secrets that are not there yet.
    pub(super) fn make(mut config: Config, data: DataDir) -> Result<(Self, Sockets), Failure> {
        refuse_own_keys(&config)?;
        // Command lines that start a part again work from every folder.
        for path in [&mut config.tls_cert, &mut config.tls_key, &mut config.tls_ca].into_iter().flatten() {
            *path = std::path::absolute(&*path).context("the working directory is not there")?;
        }
        let tls = Tls::load(&config)?;
        let probe = Probe::new(&tls).context("tls.ca")?;
        let sockets = Sockets::bind(&mut config)?;
        if config.kek_file.is_none() {
            config.kek_file = Some(data.kek_file()?);
        }
        let plan = Self { config: completed(config, &data)?, data, tls, probe };
        Ok((plan, sockets))
    }

    /// The configuration of one part.
    pub(super) fn config(&self, part: Part) -> Config {
        let mut config = self.config.clone();
        config.database_path = Some(self.data.file(&format!("{}.db", part.name())));
        if let Part::Demo(service) = part {
            config.demo_client_secret_file = Some(self.data.client_secret_file(service.name()));
            let calls_users = service != Service::Users;
            config.demo_users_url = calls_users.then(|| Origin(self.url(Part::Demo(Service::Users))));
        }
        config
    }

    /// The issuer.
    pub(super) fn issuer(&self) -> String {
        self.config.issuer.to_text()
    }

    /// The file with the certificates that clients have to trust, if they are not those of the machine.
    pub(super) fn ca(&self) -> Option<&Path> {
        self.config.tls_ca.as_deref()
    }

    /// Waits until a part says that it is ready.
    pub(super) async fn until_ready(&self, part: Part, limit: Duration) -> Result<()> {
        self.probe.until_ready(part.name(), ports::reachable(self.address(part)), limit).await
    }

    /// Where a part listens.
    pub(super) fn address(&self, part: Part) -> SocketAddr {
        *part.listen(&mut self.config.clone())
    }

    /// The base URL of a part.
    pub(super) fn url(&self, part: Part) -> String {
        ports::url(self.address(part), is_tls(&self.config))
    }

    /// The URL of the authority's gRPC listener.
    pub(super) fn feed_url(&self) -> String {
        ports::url(self.config.listen_feed, is_tls(&self.config))
    }
}

impl Sockets {
    /// Binds them all; `config` then has the ports that were drawn.
    fn bind(config: &mut Config) -> Result<Self> {
        let mut http = BTreeMap::new();
        for part in Part::ALL {
            let address = part.listen(config);
            let socket = ports::bind(part.listen_key(), *address)?;
            *address = socket.local_addr().context("the listener has no address")?;
            http.insert(part, socket);
        }
        let feed = ports::bind("listen.feed", config.listen_feed)?;
        config.listen_feed = feed.local_addr().context("the listener has no address")?;
        Ok(Self { http, feed })
    }

    /// The socket of a part.
    pub(super) fn take(&mut self, part: Part) -> Result<TcpListener> {
        self.http.remove(&part).with_context(|| format!("no socket for {}", part.name()))
    }
}

fn completed(mut config: Config, data: &DataDir) -> Result<Config> {
    let is_tls = is_tls(&config);
    let url = |address| Origin(ports::url(address, is_tls));
    let authority = url(config.listen_authority);
    if config.issuer.is_none() {
        config.issuer = Some(Issuer(authority.0.clone()));
    }
    config.authority_url = Some(authority);
    config.feed_url = Some(url(config.listen_feed));
    config.gateway_client_secret_file = Some(data.client_secret_file("gateway"));
    config.gateway_cookie_key_file = Some(data.cookie_key_file()?);
    if config.gateway_routes.0.is_empty() {
        let mut addresses = config.clone();
        let route = |service: Service| {
            let upstream = ports::url(*Part::Demo(service).listen(&mut addresses), is_tls);
            RouteSpec::ordinary(&format!("/{}/**", service.name()), &upstream, service.name())
        };
        config.gateway_routes = Routes(Service::ALL.into_iter().map(route).collect());
    }
    Ok(config)
}

fn is_tls(config: &Config) -> bool {
    config.tls_cert.is_some()
}

/// Keys that `up` sets itself: somebody who sets one expects what would not happen.
const OWN_KEYS: [&str; 7] = [
    "database.path",
    "feed.url",
    "authority.url",
    "gateway.client_secret_file",
    "gateway.cookie_key_file",
    "demo.client_secret_file",
    "demo.users_url",
];

fn refuse_own_keys(config: &Config) -> Result<(), ConfigErrors> {
    let set = config.changed().into_iter().map(|(key, _)| key).filter(|key| OWN_KEYS.contains(key));
    let error = |key: &str| ConfigError {
        place: None,
        key: Some(key.to_owned()),
        problem: "is for `propusk serve`; `up` sets it by itself (see --data)".to_owned(),
    };
    let errors: Vec<_> = set.map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}
