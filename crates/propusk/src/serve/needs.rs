//! Settings that a part cannot do without: all that are missing are told at once.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, ConfigErrors};
use crate::exit::Failure;
use crate::private;

/// What is missing or cannot be used.
#[derive(Debug, Default)]
pub(super) struct Needs(Vec<ConfigError>);

impl Needs {
    /// The value, which has to be set.
    pub(super) fn value<T: Clone>(&mut self, key: &str, value: Option<&T>) -> Option<T> {
        if value.is_none() {
            self.wrong(key, format!("is not set: --set {key}=…"));
        }
        value.cloned()
    }

    /// The text of a private file, which has to be named.
    pub(super) fn secret(&mut self, key: &str, path: Option<&PathBuf>) -> Option<Zeroizing<String>> {
        let path = self.value(key, path)?;
        private::read(&path).map_err(|error| self.wrong(key, error.to_string())).ok()
    }

    /// Something about a key.
    pub(super) fn wrong(&mut self, key: &str, problem: String) {
        self.0.push(ConfigError { place: None, key: Some(key.to_owned()), problem });
    }

    /// Fails if anything is wrong.
    pub(super) fn check(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigErrors(self.0).into()) }
    }

    /// A need is missing and nobody said so.
    pub(super) fn bug() -> Failure {
        anyhow::anyhow!("a setting is missing that no error names").into()
    }
}

/// What every client of the authority needs.
pub(super) struct Upwards {
    pub(super) issuer: String,
    pub(super) authority: String,
    pub(super) feed: String,
}

impl Upwards {
    pub(super) fn of(config: &Config, needs: &mut Needs) -> Option<Self> {
        let issuer = needs.value("issuer", config.issuer.as_ref());
        let authority = needs.value("authority.url", config.authority_url.as_ref());
        let feed = needs.value("feed.url", config.feed_url.as_ref());
        Some(Self { issuer: issuer?.0, authority: authority?.0, feed: feed?.0 })
    }
}

impl From<crate::config::PastBound> for propusk_verify::decision::PastBound {
    fn from(policy: crate::config::PastBound) -> Self {
        match policy {
            crate::config::PastBound::Refuse => Self::Refuse,
            crate::config::PastBound::Online => Self::Online,
            crate::config::PastBound::Serve => Self::Serve,
        }
    }
}
