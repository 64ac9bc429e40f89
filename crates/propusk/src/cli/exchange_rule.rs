//! `propusk exchange-rule`.

use clap::Subcommand;

use super::{SureArgs, WaitArgs};

/// `propusk exchange-rule`.
#[derive(Debug, Subcommand)]
pub(crate) enum ExchangeRuleCommand {
    /// Let a client exchange tokens made for one service for tokens for another.
    Put {
        /// The client that exchanges.
        actor: String,
        /// The service that the new tokens are for.
        audience: String,
        /// Whose tokens: user or client. May be repeated.
        #[arg(long = "subject", value_name = "KIND", value_parser = ["user", "client"], default_value = "user")]
        subjects: Vec<String>,
        /// The service that the tokens which are exchanged were made for. May be repeated.
        #[arg(long, value_name = "SERVICE", required = true)]
        from: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a client exchange them no more.
    Delete {
        /// The client that exchanges.
        actor: String,
        /// The service that the new tokens are for.
        audience: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
}
