//! `propusk up`: the whole system on this machine.

mod in_process;
mod plan;
mod probe;
mod ready;
mod split;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use propusk_server::demo::DemoData;

use crate::cli::UpArgs;
use crate::config::{Config, Sources};
use crate::data::{self, DataDir};
use crate::exit::{Exit, Failure, Outcome};
use crate::run_file::{self, Running};
use crate::serve::{Part, Service, end_with, signalled};
use crate::{log, output};

use in_process::InProcess;
use plan::Plan;
use split::Split;

/// Every part has this long to be ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

enum System {
    InProcess(InProcess),
    Split(Split),
}

/// `propusk up`.
pub(crate) async fn run(args: UpArgs) -> Outcome {
    let begun = Instant::now();
    if let Some(parent) = args.child_of {
        end_with(parent)?;
    }
    let config = configuration(&args)?;
    log::start(&config);
    let data = match (&args.data, args.ephemeral) {
        (_, true) => DataDir::temporary()?,
        (Some(path), false) => DataDir::open(path)?,
        (None, false) => DataDir::open(&data::default_path()?)?,
    };
    let (plan, sockets) = Plan::make(config, data)?;
    let secrets = plan.data.client_secrets()?;
    let (mut system, demo) = if args.split {
        let (split, demo) = split::start(&plan, sockets, secrets.all).await?;
        (System::Split(split), demo)
    } else {
        let (system, demo) = in_process::start(&plan, sockets, secrets.all).await?;
        (System::InProcess(system), demo)
    };
    let lost = demo.clients.iter().find(|client| client.secret.is_none() && secrets.made.contains(&&*client.client_id));
    let ended = match lost {
        Some(client) => Err(plan.data.lost_secret(&client.client_id)),
        None => serve_until_told(&args, &plan, &mut system, &demo, begun).await,
    };
    system.stop().await;
    ended.map(|()| Exit::Done).map_err(Failure::from)
}

/// What is configured, over what `up` has as defaults of its own.
fn configuration(args: &UpArgs) -> Result<Config, Failure> {
    let mut sources = Sources::of_process(args.config.config.clone(), args.config.set.clone());
    sources.defaults.push(("debug.decision_headers", "true".to_owned()));
    if !args.json && std::io::stderr().is_terminal() {
        // A line for each request would push the passwords off the screen.
        sources.defaults.push(("log.level", "warn".to_owned()));
    }
    if args.ephemeral {
        let listeners = Part::ALL.into_iter().map(Part::listen_key).chain(["listen.feed"]);
        sources.defaults.extend(listeners.map(|key| (key, "127.0.0.1:0".to_owned())));
    }
    Ok(Config::load(&sources)?)
}

/// Waits until all are ready, tells it, and waits for a signal.
async fn serve_until_told(
    args: &UpArgs,
    plan: &Plan,
    system: &mut System,
    demo: &DemoData,
    begun: Instant,
) -> Result<()> {
    tokio::select! {
        () = signalled() => return Ok(()),
        error = system.failed() => return Err(error),
        ready = all_ready(plan) => ready?,
    }
    let _run_file = run_file::write(plan.data.path(), &running(plan))?;
    if args.json {
        output::line(&ready::json(plan, system, demo).to_string());
    } else {
        output::line(&ready::text(plan, demo, begun.elapsed()));
    }
    tokio::select! {
        () = signalled() => Ok(()),
        error = system.failed() => Err(error),
    }
}

async fn all_ready(plan: &Plan) -> Result<()> {
    let probes = Part::ALL.into_iter().map(|part| plan.until_ready(part, READY_LIMIT));
    futures_util::future::try_join_all(probes).await.map(drop)
}

fn running(plan: &Plan) -> Running {
    let service = |service: Service| (service.name().to_owned(), plan.url(Part::Demo(service)));
    Running {
        pid: std::process::id(),
        ca: plan.ca().map(ToOwned::to_owned),
        issuer: plan.issuer(),
        authority: plan.url(Part::Authority),
        gateway: plan.url(Part::Gateway),
        feed: plan.feed_url(),
        services: Service::ALL.into_iter().map(service).collect(),
    }
}

impl System {
    /// Waits for what makes the whole system fail. A child that was killed does not: somebody wanted to see that.
    async fn failed(&mut self) -> anyhow::Error {
        match self {
            Self::InProcess(system) => system.failed().await,
            Self::Split(_) => std::future::pending().await,
        }
    }

    /// Ends everything in under five seconds.
    async fn stop(self) {
        match self {
            Self::InProcess(system) => system.stop().await,
            Self::Split(system) => system.stop().await,
        }
    }

    /// Process id and command line of a part.
    fn process(&self, part: Part) -> (u32, Vec<String>) {
        match self {
            Self::InProcess(_) => (std::process::id(), std::env::args().collect()),
            Self::Split(system) => system.processes.get(&part).cloned().unwrap_or_default(),
        }
    }
}
