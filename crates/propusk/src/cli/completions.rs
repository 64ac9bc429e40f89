//! `propusk completions`.

use clap::Args;
use clap_complete::Shell;

/// `propusk completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell. In bash: `source <(propusk completions bash)`.
    pub(crate) shell: Shell,
}
