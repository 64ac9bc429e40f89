//! `propusk group`.

use clap::Subcommand;

use super::{LimitArgs, OnceArgs, SureArgs, WaitArgs};

/// `propusk group`.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// All groups.
    List {
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// A group, its roles and its members.
    Show {
        /// The group.
        group: String,
    },
    /// A new group.
    Create {
        /// Its name, which stays.
        group: String,
        #[command(flatten)]
        once: OnceArgs,
    },
    /// Delete a group: its members lose the roles that it has.
    Delete {
        /// The group.
        group: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Put a person into a group.
    AddMember {
        /// The group.
        group: String,
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take a person out of a group.
    RemoveMember {
        /// The group.
        group: String,
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
}
