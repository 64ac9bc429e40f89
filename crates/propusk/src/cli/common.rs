//! Arguments that many commands share.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A TOML file; `propusk config example` shows what may be in it.
    #[arg(long, value_name = "FILE", env = "PROPUSK_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over file and environment. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which authority, and how to print.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// Base URL of the authority; without it, that of the running `up`.
    #[arg(long, global = true, value_name = "URL", env = "PROPUSK_AUTHORITY")]
    pub(crate) authority: Option<String>,
    /// The data directory of the running `up`.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The only certificates to trust there, PEM; without it, what the running `up` has, or this machine.
    #[arg(long, global = true, value_name = "FILE", env = "PROPUSK_TLS__CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Send credentials over plain HTTP to another machine.
    #[arg(long, global = true)]
    pub(crate) insecure_http: bool,
}

/// How long a change waits.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArgs {
    /// Return when the change is committed, or when every verifier enforces it.
    #[arg(long, value_enum, default_value_t = WaitFor::Enforced)]
    pub(crate) wait: WaitFor,
    /// How long to wait for that, in milliseconds; the authority has a default.
    #[arg(long, value_name = "MS")]
    pub(crate) wait_ms: Option<u64>,
}

/// What a change waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    /// No verifier decides against it any more.
    Enforced,
    /// It is stored.
    Committed,
}

/// For a POST that must not be done twice.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnceArgs {
    /// Does nothing a second time under the same key (24 h), but gives the first answer again; without it, a key of this run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// A change to what was seen, or none.
#[derive(Debug, Clone, Args)]
pub(crate) struct SeenArgs {
    /// Only if it is still as it was: the `etag` that `show --json` printed. Without it, it is read right before.
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
}

/// For what cannot be undone.
#[derive(Debug, Clone, Args)]
pub(crate) struct SureArgs {
    /// Do not ask. Without a terminal nothing is asked.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitArgs {
    /// At most as many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

/// A command over the authority's API: what to do, and at which authority.
#[derive(Debug, Args)]
pub(crate) struct At<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}
