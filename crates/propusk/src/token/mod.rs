//! `propusk token`.

mod inspect;

use crate::cli::TokenCommand;
use crate::exit::Outcome;

/// Runs one of them.
pub(crate) async fn run(command: TokenCommand) -> Outcome {
    let TokenCommand::Inspect(args) = command;
    inspect::run(args).await
}
