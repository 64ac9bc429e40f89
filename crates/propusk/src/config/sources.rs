//! Where values come from, and which one counts: flag over environment over file over default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::file;
use super::registry::keys;
use super::setting::Setting;
use super::suggest::nearest;

/// Variables with our prefix that are no keys of the configuration.
pub(crate) const OTHER_VARIABLES: &[&str] = &[
    "PROPUSK_TOKEN",
    "PROPUSK_AUTHORITY",
    "PROPUSK_CLIENT_ID",
    "PROPUSK_CLIENT_SECRET_FILE",
    "PROPUSK_BOOTSTRAP_ADMIN_SECRET_FILE",
    "PROPUSK_CONFIG",
    "PROPUSK_KEK",
];

const PREFIX: &str = "PROPUSK_";

/// Everything that may say something.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// A file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The process's environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// `--set KEY=VALUE`, in order: the last counts.
    pub(crate) sets: Vec<String>,
    /// Defaults of the command, where it has its own.
    pub(crate) defaults: Vec<(&'static str, String)>,
}

impl Sources {
    /// A file and flags, and the environment of this process.
    pub(crate) fn of_process(file: Option<PathBuf>, sets: Vec<String>) -> Self {
        Self { file, environment: std::env::vars_os().collect(), sets, defaults: Vec::new() }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// File and line, variable or flag; unknown for what several keys mean together.
    pub(crate) place: Option<String>,
    /// The key, if it is about one.
    pub(crate) key: Option<String>,
    /// What is wrong and what would be right.
    pub(crate) problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// A value as it was given.
#[derive(Debug, Clone)]
enum Given {
    Text(String),
    Toml(Value),
}

/// What all sources together say, before types are known, and all errors so far.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Given, String)>,
    pub(super) errors: Vec<ConfigError>,
}

impl Layers {
    /// Reads all sources, the weakest first.
    pub(super) fn of(sources: &Sources) -> Self {
        let mut layers = Self::default();
        for (key, value) in &sources.defaults {
            layers.put("command", key, Given::Text(value.clone()));
        }
        if let Some(path) = &sources.file {
            layers.add_file(path);
        }
        for (name, value) in &sources.environment {
            layers.add_variable(name, value);
        }
        for set in &sources.sets {
            layers.add_flag(set);
        }
        layers
    }

    /// The value of a key. A wrong one is noted, and there is none.
    pub(super) fn read<T: Setting>(&mut self, path: &'static str, default: &str) -> Option<T> {
        let (read, place) = match self.values.get(path) {
            None => (T::from_text(default), None),
            Some((Given::Text(text), place)) => (T::from_text(text), Some(place.clone())),
            Some((Given::Toml(value), place)) => (T::from_toml(value), Some(place.clone())),
        };
        read.map_err(|problem| self.errors.push(ConfigError { place, key: Some(path.to_owned()), problem })).ok()
    }

    fn add_file(&mut self, path: &std::path::Path) {
        match file::read(path) {
            Ok(entries) => {
                for entry in entries {
                    self.put(&entry.place, &entry.key, Given::Toml(entry.value));
                }
            }
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn add_variable(&mut self, name: &OsString, value: &OsString) {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        if OTHER_VARIABLES.contains(&&*name) {
            return;
        }
        let key = rest.to_ascii_lowercase().replacen("__", ".", 1);
        match value.to_str() {
            Some(text) => self.put(&name, &key, Given::Text(text.to_owned())),
            None => self.errors.push(ConfigError {
                place: Some(name.into_owned()),
                key: Some(key),
                problem: "is not UTF-8".to_owned(),
            }),
        }
    }

    fn add_flag(&mut self, set: &str) {
        match set.split_once('=') {
            Some((key, value)) => self.put("--set", key.trim(), Given::Text(value.to_owned())),
            None => self.errors.push(ConfigError {
                place: Some("--set".to_owned()),
                key: None,
                problem: format!("{set:?} is not of the form KEY=VALUE, as in token.access_ttl=5m"),
            }),
        }
    }

    fn put(&mut self, place: &str, key: &str, value: Given) {
        match keys().find(|known| known.path == key) {
            Some(known) => {
                self.values.insert(known.path, (value, place.to_owned()));
            }
            None => self.errors.push(unknown(place, key)),
        }
    }
}

fn unknown(place: &str, key: &str) -> ConfigError {
    let problem = match nearest(key, keys().map(|known| known.path)) {
        Some(near) => format!("there is no such key; did you mean {near}?"),
        None => "there is no such key; `propusk config example` shows all of them".to_owned(),
    };
    ConfigError { place: Some(place.to_owned()), key: Some(key.to_owned()), problem }
}
