//! `propusk up`, `serve`, `demo` and `config`: the system itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::serve::{Part, Service};

/// `propusk up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where data and keys are kept. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Temporary data, gone at the end, and free ports for every listener.
    #[arg(long, conflicts_with = "data")]
    pub(crate) ephemeral: bool,
    /// Print one line of JSON when everything is ready.
    #[arg(long)]
    pub(crate) json: bool,
    /// Each part a process of its own. One that is killed is not restarted.
    #[arg(long)]
    pub(crate) split: bool,
    /// End when this process, our parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) child_of: Option<i32>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `propusk serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    pub(crate) part: ServePart,
}

/// What can be served.
#[derive(Debug, Subcommand)]
pub(crate) enum ServePart {
    /// The authority. It needs `issuer`, `database.path` and a key-encryption key (`kek.file` or PROPUSK_KEK).
    Authority(PartArgs),
    /// The gateway.
    Gateway(PartArgs),
    /// A demo service.
    Demo {
        /// Which.
        service: Service,
        #[command(flatten)]
        args: PartArgs,
    },
}

impl ServePart {
    /// The part and its arguments.
    pub(crate) fn into_parts(self) -> (Part, PartArgs) {
        match self {
            Self::Authority(args) => (Part::Authority, args),
            Self::Gateway(args) => (Part::Gateway, args),
            Self::Demo { service, args } => (Part::Demo(service), args),
        }
    }
}

/// Of any part.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// End when this process, our parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) child_of: Option<i32>,
}

/// `propusk demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The data directory of the running `up`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Start a system of its own, split into processes, and end it afterwards.
    #[arg(long, conflicts_with = "data")]
    pub(crate) ephemeral: bool,
    /// A file with the password of `admin`, mode 0600; without it, steps that change roles or keys are skipped.
    #[arg(long, value_name = "FILE", conflicts_with = "ephemeral")]
    pub(crate) admin_password_file: Option<PathBuf>,
}

/// `propusk config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell everything that is wrong with a configuration.
    Check {
        /// The file; without it, the one of --config or PROPUSK_CONFIG.
        file: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print a file with every setting, its meaning and its default.
    Example,
}
