//! `propusk token`.

mod inspect;

use crate::api;
use crate::cli::TokenCommand;
use crate::exit::Outcome;

/// Runs one of them.
pub(crate) async fn run(command: TokenCommand) -> Outcome {
    match command {
        TokenCommand::Inspect(args) => inspect::run(args).await,
        TokenCommand::Revoke(args) => api::tokens::revoke(args).await,
    }
}
