//! `bench feed`: what following the authority costs, and how fast a revocation is everywhere.
//!
//! The authority runs in a child process; verifiers are real ones, each with a connection of its own, in this process.
//! Each has half of the machine's cores.

pub(crate) mod bare;
mod fleet;
mod idle;
mod load;
mod online;
mod revoke;
mod snapshot;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::process::{allow_many_files, cores};
use crate::report::{Report, Row, say};

/// How `bench feed` is asked for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Shorter runs: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// Write the results here as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only these; all of them if none is named.
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Where databases are made; they have to be on the disk that is to be measured.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Revoke → enforced, 3 services.
    Revoke3,
    /// Revoke → enforced, 200 verifiers.
    Revoke200,
    /// 1,000 revocations/s, 10 verifiers.
    Load,
    /// Elite online, 64 concurrent.
    Online,
    /// 1,000 idle verifiers.
    Idle,
    /// Start with 1,000,000 live revocations.
    Snapshot,
}

/// What all parts are told.
struct Settings {
    is_quick: bool,
    lease: Duration,
    dir: Option<PathBuf>,
}

/// The product's default.
const LEASE: Duration = Duration::from_secs(3);

/// Whether every number was reached.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    allow_many_files()?;
    let threads = cores().div_ceil(2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let rows = runtime.block_on(measure(arguments))?;
    let report = Report { benchmark: "feed", is_quick: arguments.quick, cores: cores(), rows };
    report.publish(arguments.json.as_deref())?;
    Ok(report.is_met())
}

async fn measure(arguments: &Arguments) -> Result<Vec<Row>> {
    let settings = Settings { is_quick: arguments.quick, lease: LEASE, dir: arguments.dir.clone() };
    let wanted = Part::value_variants().iter().copied();
    let wanted = wanted.filter(|part| arguments.only.is_empty() || arguments.only.contains(part));
    let mut rows = Vec::new();
    for part in wanted {
        say(&format!("{part:?} …"));
        rows.push(match part {
            Part::Revoke3 => revoke::measure(&settings, 3, 5.0).await?,
            Part::Revoke200 => revoke::measure(&settings, 200, 50.0).await?,
            Part::Load => load::measure(&settings).await?,
            Part::Online => online::measure(&settings).await?,
            Part::Idle => idle::measure(&settings).await?,
            Part::Snapshot => snapshot::measure(&settings).await?,
        });
    }
    Ok(rows)
}
