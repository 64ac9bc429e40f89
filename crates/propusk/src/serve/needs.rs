//! Settings that a part cannot do without: all that are missing are told at once.

use std::path::PathBuf;

use propusk_verify::feed::{Drift, FeedOptions};
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

/// How a verifier follows the authority's log.
pub(super) fn feed_options(config: &Config) -> FeedOptions {
    // Rounded up: a bound that is too wide costs a little of each lease, one that is too narrow costs the guarantee.
    let per_mille = (config.feed_drift * 1000.0).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked to be from 0 to 500")]
    let drift = Drift::per_mille(per_mille as u32);
    FeedOptions { renew: config.feed_renew, drift, version: env!("CARGO_PKG_VERSION").to_owned() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_bound_on_drift_is_never_narrower_than_configured() {
        for (given, per_mille) in [("0", 0), ("0.2", 200), ("0.25", 250), ("0.1001", 101), ("0.4999", 500)] {
            let sources = Sources { sets: vec![format!("feed.drift={given}")], ..Sources::default() };
            let options = feed_options(&Config::load(&sources).unwrap());
            assert_eq!(options.drift, Drift::per_mille(per_mille), "{given}");
        }
    }
}
