//! `propusk audit`.

use clap::Subcommand;

/// `propusk audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// What was done, newest first.
    List {
        /// Only what was done to this: an id, as the log has it.
        #[arg(long, value_name = "ID")]
        subject: Option<String>,
        /// Only what was done to this person: id or name.
        #[arg(long, value_name = "USER", conflicts_with = "subject")]
        user: Option<String>,
        /// Only what this one did: an id, as the log has it.
        #[arg(long, value_name = "ID")]
        actor: Option<String>,
        /// Only what this person did: id or name.
        #[arg(long, value_name = "USER", conflicts_with = "actor")]
        by: Option<String>,
        /// Only what is about this service.
        #[arg(long)]
        service: Option<String>,
        /// Only this, as in `role_given`.
        #[arg(long)]
        action: Option<String>,
        /// At most as many entries.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
}
