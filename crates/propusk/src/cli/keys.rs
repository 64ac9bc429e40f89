//! `propusk keys`.

use clap::Subcommand;

use super::{SureArgs, WaitArgs};

/// `propusk keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// The keys of a service, and who has yet to confirm the next one.
    List {
        /// The service.
        audience: String,
    },
    /// Let the next key of a service sign, as soon as every verifier has it.
    Rotate {
        /// The service.
        audience: String,
    },
    /// Take a key back at once: every token that it signed is to be refreshed.
    Revoke {
        /// The key's id.
        kid: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
}
