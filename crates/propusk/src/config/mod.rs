//! The configuration: one registry of keys, read from a file, the environment and flags, checked as a whole.
//!
//! Nothing else in the workspace reads files or the environment. All that is wrong is told at once, each error with the
//! key, where it was set, and what would be right.

mod check;
mod duration;
mod example;
mod file;
mod registry;
mod routes;
mod setting;
mod sources;
mod suggest;

use std::fmt;

pub(crate) use example::example;
pub(crate) use registry::Config;
pub(crate) use routes::{RouteSpec, Routes};
pub(crate) use setting::{Issuer, LogFormat, OpsAccess, Origin, PastBound, RouteClass, Setting, Synchronous};
pub(crate) use sources::{ConfigError, Sources};

use sources::Layers;

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "the configuration is wrong: {one}"),
            many => {
                write!(f, "the configuration has {} errors:", many.len())?;
                many.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl Config {
    /// Reads all sources and checks every rule.
    pub(crate) fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut layers = Layers::of(sources);
        let config = Self::read(&mut layers);
        let mut errors = layers.errors;
        if let Some(config) = &config {
            errors.extend(check::check(config));
        }
        match config {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

#[cfg(test)]
mod tests;
