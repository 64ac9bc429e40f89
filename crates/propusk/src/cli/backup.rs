//! `propusk backup`, `restore`, `feed restore` and `doctor`: keeping the data, and keeping it well.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ApiArgs, ConfigArgs};

/// `propusk backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where the backup is written. There must be no such file yet.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// Whose data, when nobody serves it.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// The data directory of `up`; without it, `database.path` of the configuration, or the default directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `propusk restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What `propusk backup` has written.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) place: DataArgs,
}

/// `propusk feed`.
#[derive(Debug, Subcommand)]
pub(crate) enum FeedCommand {
    /// Go on after commits were lost, with the database as it is: every session ends, every key is replaced.
    Restore(DataArgs),
}
