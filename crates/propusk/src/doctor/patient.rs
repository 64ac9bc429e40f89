//! What is looked at: a data directory of `up`, or the configuration of `serve authority`.

use std::path::{Path, PathBuf};

use super::finding::Findings;
use crate::cli::DataArgs;
use crate::config::{Config, Sources};
use crate::data;
use crate::output::shell_word;
use crate::run_file::{self, Running};

const AREA: &str = "configuration";

/// The system as it is configured, and what of it runs.
#[derive(Debug)]
pub(super) struct Patient {
    /// The configuration; the defaults if it is wrong.
    pub(super) config: Config,
    /// The data directory, unless it is a part that `serve` starts.
    pub(super) data: Option<PathBuf>,
    /// The authority's database, unless nothing says where it is.
    pub(super) database: PathBuf,
    /// The `up` that runs on the directory.
    pub(super) running: Option<Running>,
}

impl Patient {
    /// Reads configuration and run file; what is wrong with them is noted, and the rest is looked at all the same.
    pub(super) fn admit(args: &DataArgs, findings: &mut Findings) -> Self {
        let sources = Sources::of_process(args.config.config.clone(), args.config.set.clone());
        let config = match Config::load(&sources) {
            Ok(config) => config,
            Err(errors) => {
                errors.0.iter().for_each(|error| findings.wrong_as_told(AREA, error));
                Self::defaults()
            }
        };
        let data = match (&args.data, &config.database_path) {
            (Some(data), _) => Some(data.clone()),
            (None, Some(_)) => None,
            (None, None) => data::default_path().map_err(|error| findings.wrong_as_told(AREA, error)).ok(),
        };
        Self::with(config, data, findings)
    }

    pub(super) fn with(config: Config, data: Option<PathBuf>, findings: &mut Findings) -> Self {
        let running = data.as_deref().map(run_file::read).unwrap_or(Ok(None));
        let running = running.unwrap_or_else(|error| {
            let mend = "end `propusk up`, if it runs, and start it again: it writes the file anew";
            findings.wrong("files", format!("{error:#}"), mend);
            None
        });
        let database = match (&data, &config.database_path) {
            (Some(data), _) => data::authority_database(data),
            (None, path) => path.clone().unwrap_or_default(),
        };
        Self { config, data, database, running }
    }

    #[expect(clippy::expect_used, reason = "a test of the registry loads the defaults, too")]
    fn defaults() -> Config {
        Config::load(&Sources::default()).expect("the defaults are right")
    }

    /// The file with the key-encryption key, if it is in one.
    pub(super) fn kek_file(&self) -> Option<PathBuf> {
        self.config.kek_file.clone().or_else(|| self.data.as_ref().map(|data| data.join("kek")))
    }

    /// What to add to a command so that it is about this system.
    pub(super) fn place(&self) -> String {
        match &self.data {
            Some(data) => format!("--data {}", shell_word(&data.to_string_lossy())),
            None => "--config FILE".to_owned(),
        }
    }
}

/// A path as a shell reads it.
pub(super) fn word(path: &Path) -> String {
    shell_word(&path.to_string_lossy()).into_owned()
}
