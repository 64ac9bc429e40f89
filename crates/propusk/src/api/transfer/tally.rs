//! What became of the lines of an import.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::output::{self, GREEN, RED, paint};

/// As many refused lines are told one by one; the file of refused ones has them all.
const TOLD: usize = 20;
/// As many are in the document for programs.
const IN_DOCUMENT: usize = 100;

/// How many lines had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) exists: u64,
    pub(super) refused: u64,
}

/// A line that was refused.
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) username: Option<String>,
    pub(super) reason: String,
}

impl Refused {
    fn document(&self) -> Value {
        json!({"line": self.line, "username": self.username, "reason": self.reason})
    }
}

/// Counts, and tells of refused lines as they come.
pub(super) struct Tally {
    pub(super) counts: Counts,
    first: Vec<Value>,
    rejected: Option<Rejected>,
}

/// The file of refused lines.
struct Rejected {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Tally {
    /// From nothing, or from what was counted before, with as much of the file of refused lines.
    pub(super) fn begin(counts: Counts, rejected: Option<&Path>, rejected_bytes: u64) -> Result<Self> {
        let rejected = rejected.map(|path| Rejected::open(path, rejected_bytes)).transpose()?;
        Ok(Self { counts, first: Vec::new(), rejected })
    }

    /// A line was refused. Words for the one who watches, if it is one of the first.
    pub(super) fn refused(&mut self, refused: &Refused) -> Result<Option<String>> {
        self.counts.refused += 1;
        if self.first.len() < IN_DOCUMENT {
            self.first.push(refused.document());
        }
        if let Some(rejected) = &mut self.rejected {
            rejected.add(refused)?;
        }
        let name = refused.username.as_deref().map(|name| format!("{name:?}: ")).unwrap_or_default();
        let words = format!("line {}: {name}{}", refused.line, output::harmless(&refused.reason));
        Ok((self.first.len() <= TOLD && self.counts.refused <= TOLD as u64).then_some(words))
    }

    pub(super) fn rejected_bytes(&self) -> u64 {
        self.rejected.as_ref().map_or(0, |rejected| rejected.bytes)
    }

    pub(super) fn in_words(&self) -> String {
        let Counts { created, exists, refused } = self.counts;
        format!("{created} created, {exists} there before, {refused} refused")
    }

    /// The end.
    pub(super) fn tell(&self, is_json: bool) {
        let path = self.rejected.as_ref().map(|rejected| &rejected.path);
        if is_json {
            let Counts { created, exists, refused } = self.counts;
            let document = json!({
                "created": created, "exists": exists, "refused": refused, "refusals": self.first, "rejected": path,
            });
            return output::line(&document.to_string());
        }
        let mark = if self.counts.refused == 0 { paint(GREEN, "✓") } else { paint(RED, "✗") };
        output::line(&format!("{mark} {}", self.in_words()));
        match path {
            Some(path) if self.counts.refused > 0 => output::line(&format!("  why: {}", path.display())),
            None if self.counts.refused > TOLD as u64 => {
                output::line("  all of them, with the reasons: import again with --rejected FILE");
            }
            _ => {}
        }
    }
}

impl Rejected {
    fn open(path: &Path, bytes: u64) -> Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(path).with_context(cannot)?;
        // What was written after the last position comes again.
        let bytes = bytes.min(file.metadata().with_context(cannot)?.len());
        file.set_len(bytes).with_context(cannot)?;
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    fn add(&mut self, refused: &Refused) -> Result<()> {
        let line = format!("{}\n", refused.document());
        self.file.write_all(line.as_bytes()).with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_lines_are_written_once_also_when_an_import_is_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejected");
        let refused = |line| Refused { line, username: Some("a b".to_owned()), reason: "is bad".to_owned() };
        let mut tally = Tally::begin(Counts::default(), Some(&path), 0).unwrap();
        assert_eq!(tally.refused(&refused(2)).unwrap().unwrap(), "line 2: \"a b\": is bad");
        let kept = (tally.counts, tally.rejected_bytes());
        tally.refused(&refused(3)).unwrap();
        let mut resumed = Tally::begin(kept.0, Some(&path), kept.1).unwrap();
        resumed.refused(&refused(3)).unwrap();
        resumed.refused(&refused(4)).unwrap();
        assert_eq!(resumed.counts.refused, 3);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
        let mut anew = Tally::begin(Counts::default(), Some(&path), 0).unwrap();
        anew.refused(&refused(9)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
