//! The data of one measurement: a directory of its own, and the secrets that open it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use propusk_core::env::SystemRandom;
use propusk_core::keys::Kek;
use propusk_core::secret::{CLIENT_SECRET_PREFIX, PlainSecret};
use tempfile::TempDir;

/// A new data directory, gone with this value.
pub(crate) struct Data {
    dir: TempDir,
    pub(crate) kek: String,
    pub(crate) admin_secret: String,
}

impl Data {
    /// In `parent`, or where temporary files are kept.
    pub(crate) fn new(parent: Option<&Path>) -> Result<Self> {
        let dir = match parent {
            Some(parent) => TempDir::new_in(parent)?,
            None => TempDir::new()?,
        };
        Ok(Self {
            dir,
            kek: Kek::generate_text(&SystemRandom).to_string(),
            admin_secret: PlainSecret::generate(CLIENT_SECRET_PREFIX, &SystemRandom).expose().to_owned(),
        })
    }

    /// The authority's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("authority.db")
    }

    /// What the authority logs.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("authority.log")
    }

    /// A database of the same kind beside it, for the bare figures.
    pub(crate) fn bare_database(&self) -> PathBuf {
        self.dir.path().join("bare.db")
    }
}
