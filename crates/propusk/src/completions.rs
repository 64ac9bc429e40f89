//! `propusk completions`: what a shell needs to complete our commands.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::{Exit, Outcome};

/// Prints it. That a reader goes away is no error.
pub(crate) fn run(args: &CompletionsArgs) -> Outcome {
    let _ = std::io::stdout().write_all(&script(args));
    Ok(Exit::Done)
}

fn script(args: &CompletionsArgs) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "propusk", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let text = String::from_utf8(script(&CompletionsArgs { shell: *shell })).unwrap();
            for word in ["exchange-rule", "new-secret", "add-member", "password-file"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }
}
