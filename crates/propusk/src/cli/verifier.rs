//! `propusk verifier`.

use clap::Subcommand;

/// `propusk verifier`.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Every live verifier: how far it is behind, and how long its lease runs.
    List {
        /// Again each second, until interrupted.
        #[arg(long)]
        watch: bool,
    },
}
