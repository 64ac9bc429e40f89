//! `propusk session`.

use clap::Subcommand;

use super::{SureArgs, WaitArgs};

/// `propusk session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// The sessions of a person.
    List {
        /// Id or name.
        user: String,
    },
    /// End a session, or all of a person's.
    End {
        /// The session's id.
        #[arg(required_unless_present = "all_of")]
        session: Option<String>,
        /// Every session of this person: id or name.
        #[arg(long, value_name = "USER", conflicts_with = "session")]
        all_of: Option<String>,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
}
