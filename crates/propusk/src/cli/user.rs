//! `propusk user`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{LimitArgs, OnceArgs, SeenArgs, SureArgs, WaitArgs};

/// `propusk user`.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Everybody, or one by name.
    List {
        /// Only this one.
        #[arg(long)]
        username: Option<String>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// One person and their roles.
    Show {
        /// Id or name.
        user: String,
    },
    /// A new person.
    Create {
        /// The name to sign in with.
        username: String,
        /// A file with the password, mode 0600; without it, it is asked for.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Without a password: nobody can sign in with this name until one is given.
        #[arg(long, conflicts_with = "password_file")]
        no_password: bool,
        /// E-mail address.
        #[arg(long)]
        email: Option<String>,
        #[command(flatten)]
        once: OnceArgs,
    },
    /// Another name or address.
    #[command(group = clap::ArgGroup::new("change").args(["username", "email", "no_email"]).required(true).multiple(true))]
    Change {
        /// Id or name.
        user: String,
        /// The new name to sign in with.
        #[arg(long)]
        username: Option<String>,
        /// The new address.
        #[arg(long)]
        email: Option<String>,
        /// Take the address away.
        #[arg(long, conflicts_with = "email")]
        no_email: bool,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// End all sessions and tokens, and let nobody sign in.
    Disable {
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a disabled person sign in again.
    Enable {
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Erase a person. The id and the audit log stay.
    Delete {
        /// Id or name.
        user: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give a person another password. All their sessions end.
    Password {
        /// Id or name.
        user: String,
        /// A file with the password, mode 0600; without it, it is asked for.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Why a person may do something: every way from them to the permission. Exit status 1 if there is none.
    Why {
        /// Id or name.
        user: String,
        /// As in `cars:delete`.
        permission: String,
        /// Where the permission counts; without it, the service that it begins with.
        #[arg(long)]
        service: Option<String>,
    },
}
