//! `propusk serve`: one part in this process.

mod authority;
mod blocklist;
mod gateway;
mod needs;
mod part;
mod service;
mod stop;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use propusk_core::secret::PlainSecret;
use propusk_server::demo::{self, DemoData};
use propusk_server::{Authority, Listeners, ServerConfig};
use propusk_verify::axum::Listener;
use tokio::task::JoinHandle;

pub(crate) use authority::{KEK_VARIABLE, kek};
pub(crate) use part::{Part, Service};
pub(crate) use stop::{Stop, signalled};

use crate::cli::ServeArgs;
use crate::config::{Config, Sources};
use crate::exit::{Exit, Failure, Outcome};
use crate::tls::Tls;
use crate::{log, ports};

/// After a signal, what is still being answered has this long.
pub(crate) const DRAIN: Duration = Duration::from_secs(4);

/// A part that serves in this process.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) part: Part,
    /// Ends when the part does: after its stop was asked for, or by itself.
    pub(crate) ended: JoinHandle<anyhow::Result<()>>,
}

/// `propusk serve`.
pub(crate) async fn run(args: ServeArgs) -> Outcome {
    let (part, args) = args.part.into_parts();
    if let Some(parent) = args.child_of {
        end_with(parent)?;
    }
    let mut config = Config::load(&Sources::of_process(args.config.config, args.config.set))?;
    log::start(&config);
    let tls = Tls::load(&config)?;
    let http = ports::bind(part.listen_key(), *part.listen(&mut config))?;
    let address = http.local_addr().context("the listener has no address")?;
    let stop = Stop::new();
    let mut serving = match part {
        Part::Authority => {
            let feed = ports::bind("listen.feed", config.listen_feed)?;
            tracing::info!(feed = %feed.local_addr().context("the listener has no address")?, "listening for verifiers");
            let authority = start_authority(&config, &tls, http, feed, &stop).await?;
            serving_authority(authority)
        }
        part => start(part, &config, &tls, http, &stop)?,
    };
    tracing::info!(part = part.name(), %address, "serving");
    let early = tokio::select! {
        () = signalled() => None,
        ended = &mut serving.ended => Some(ended),
    };
    stop.now();
    match early {
        Some(ended) => {
            ended.context("it broke off")??;
            Err(anyhow::anyhow!("{} ended by itself", part.name()).into())
        }
        None => {
            finish(serving, DRAIN).await;
            Ok(Exit::Done)
        }
    }
}

/// Starts the authority; when this returns, it answers.
pub(crate) async fn start_authority(
    config: &Config,
    tls: &Tls,
    http: TcpListener,
    feed: TcpListener,
    stop: &Stop,
) -> Result<Authority, Failure> {
    let server = server_config(config)?;
    let listeners = Listeners { http: listener(http, tls)?, feed: listener(feed, tls)? };
    let started = Authority::start(server, listeners, stop.asked()).await;
    Ok(started.context("the authority cannot start")?)
}

/// Makes the demo's data for an authority that is to be started later; `serve` makes none.
pub(crate) async fn prepare_demo(config: &Config, kept: BTreeMap<String, PlainSecret>) -> Result<DemoData, Failure> {
    let server = server_config(config)?;
    Ok(demo::prepare(server, kept).await.context("the demo data cannot be made")?)
}

fn server_config(config: &Config) -> Result<ServerConfig, Failure> {
    let bootstrap_admin_secret = authority::bootstrap_secret()?;
    Ok(ServerConfig { bootstrap_admin_secret, ..authority::server_config(config)? })
}

/// The running authority as one of the parts.
pub(crate) fn serving_authority(authority: Authority) -> Serving {
    let ended = async {
        authority.finished().await;
        Ok(())
    };
    Serving { part: Part::Authority, ended: tokio::spawn(ended) }
}

/// Starts a part that is not the authority. It may not be ready yet.
pub(crate) fn start(
    part: Part,
    config: &Config,
    tls: &Tls,
    http: TcpListener,
    stop: &Stop,
) -> Result<Serving, Failure> {
    let ended = match part {
        Part::Demo(service) => {
            tokio::spawn(service::serving(service, config, tls, listener(http, tls)?, stop.asked())?)
        }
        Part::Authority | Part::Gateway => {
            let gateway = gateway::gateway_config(config, tls)?;
            let (listener, stopped) = (asynchronous(http)?, stop.asked());
            tokio::spawn(async move { Ok(propusk_gateway::serve(listener, gateway, stopped).await?) })
        }
    };
    Ok(Serving { part, ended })
}

/// Waits until a part whose stop was asked for has ended, but not for longer than `limit`.
pub(crate) async fn finish(serving: Serving, limit: Duration) {
    let part = serving.part.name();
    match tokio::time::timeout(limit, serving.ended).await {
        Ok(Ok(Ok(()))) => tracing::info!(part, "ended"),
        Ok(Ok(Err(error))) => tracing::error!(part, error = format!("{error:#}"), "ended badly"),
        Ok(Err(error)) => tracing::error!(part, %error, "broke off"),
        Err(_) => tracing::warn!(part, "cut off: something was still being answered"),
    }
}

fn listener(socket: TcpListener, tls: &Tls) -> anyhow::Result<Listener> {
    Ok(Listener::new(asynchronous(socket)?, tls.certificate.clone()))
}

fn asynchronous(listener: TcpListener) -> anyhow::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true).context("the listener cannot be used")?;
    tokio::net::TcpListener::from_std(listener).context("the listener cannot be used")
}

/// Asks the system to end this process with its parent, however that ends, also while this one is stopped.
pub(crate) fn end_with(parent: i32) -> anyhow::Result<()> {
    use nix::sys::signal::Signal;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("cannot follow the parent process")?;
    // It may have ended before we asked.
    if nix::unistd::getppid().as_raw() != parent {
        anyhow::bail!("the parent process {parent} is gone");
    }
    Ok(())
}
