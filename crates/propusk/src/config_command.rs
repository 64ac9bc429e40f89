//! `propusk config`.

use crate::cli::ConfigCommand;
use crate::config::{Config, Sources, example};
use crate::exit::{Exit, Outcome};
use crate::output;

/// Runs one of them.
pub(crate) fn run(command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Example => {
            output::line(example().trim_end());
        }
        ConfigCommand::Check { file, config } => {
            let file = file.or(config.config);
            let checked = match &file {
                Some(file) => file.display().to_string(),
                None => "the environment and the defaults".to_owned(),
            };
            let changed = Config::load(&Sources::of_process(file, config.set))?.changed().len();
            output::line(&format!("{checked}: right; {changed} settings are not the defaults"));
        }
    }
    Ok(Exit::Done)
}
