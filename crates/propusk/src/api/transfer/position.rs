//! How far an import got, in a file beside the input: `FILE.propusk-import`.
//!
//! It is written after each batch that the authority has committed, so it is at most one batch behind; importing that one
//! again changes nothing. It counts only for the same authority and for a file that is the same up to there.

use std::ffi::OsString;
use std::fs::File;
use std::hash::Hasher as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::lines::Place;
use super::tally::Counts;
use crate::private;

/// How much of the input, at its beginning and before the place, has to be the same.
const COMPARED: u64 = 64 * 1024;

/// A place in the input, and what became of what is before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    authority: String,
    bytes: u64,
    line: u64,
    /// Of what is compared.
    digest: u64,
    pub(super) counts: Counts,
    /// The length of the file of refused lines.
    pub(super) rejected_bytes: u64,
}

impl Position {
    pub(super) fn at(input: &Path, authority: &str, place: Place, counts: Counts, rejected_bytes: u64) -> Result<Self> {
        let Place { bytes, line } = place;
        let digest = digest(input, bytes)?;
        Ok(Self { authority: authority.to_owned(), bytes, line, digest, counts, rejected_bytes })
    }

    /// What was kept for this input, if it still counts.
    pub(super) fn kept(input: &Path, authority: &str) -> Option<Self> {
        let text = private::read(&path(input)).ok()?;
        let position: Self = serde_json::from_str(&text).ok()?;
        let counts = position.authority == authority && digest(input, position.bytes).ok() == Some(position.digest);
        counts.then_some(position)
    }

    pub(super) fn keep(&self, input: &Path) -> Result<()> {
        Ok(private::replace(&path(input), &serde_json::to_string(self)?)?)
    }

    pub(super) fn place(&self) -> Place {
        Place { bytes: self.bytes, line: self.line }
    }
}

/// The import is done.
pub(super) fn forget(input: &Path) {
    let _ = std::fs::remove_file(path(input));
}

fn path(input: &Path) -> PathBuf {
    let mut name = OsString::from(input);
    name.push(".propusk-import");
    name.into()
}

fn digest(input: &Path, bytes: u64) -> Result<u64> {
    let mut file = File::open(input).with_context(|| format!("{} cannot be read", input.display()))?;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write_u64(bytes);
    for start in [0, bytes.saturating_sub(COMPARED)] {
        file.seek(SeekFrom::Start(start))?;
        let mut part = Vec::new();
        (&file).take((bytes - start).min(COMPARED)).read_to_end(&mut part)?;
        hasher.write_u64(part.len() as u64);
        hasher.write(&part);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_for_the_same_file_at_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("people.csv");
        std::fs::write(&input, "username\nann\nbob\n").unwrap();
        assert_eq!(Position::kept(&input, "http://a"), None);
        let counts = Counts { created: 1, exists: 0, refused: 0 };
        let position = Position::at(&input, "http://a", Place { bytes: 13, line: 2 }, counts, 7).unwrap();
        position.keep(&input).unwrap();
        assert_eq!(Position::kept(&input, "http://a"), Some(position.clone()));
        assert_eq!(Position::kept(&input, "http://b"), None, "elsewhere nothing was done");
        std::fs::write(&input, "username\nann\nbob\nmore\n").unwrap();
        assert_eq!(Position::kept(&input, "http://a"), Some(position), "what comes after may have changed");
        std::fs::write(&input, "username\neve\nbob\n").unwrap();
        assert_eq!(Position::kept(&input, "http://a"), None, "what was done may not");
        std::fs::write(&input, "username\n").unwrap();
        assert_eq!(Position::kept(&input, "http://a"), None);
        forget(&input);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
