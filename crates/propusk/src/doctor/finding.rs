//! What a check says.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// It works, and something speaks against it.
    Warning,
    /// It does not work, or not for long, or is not safe.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) area: &'static str,
    pub(super) what: String,
    /// The command or setting that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// Everything so far, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) all: Vec<Finding>,
}

impl Findings {
    pub(super) fn fine(&mut self, area: &'static str, what: impl Into<String>) {
        self.all.push(Finding { level: Level::Fine, area, what: what.into(), remedy: None });
    }

    pub(super) fn warn(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.all.push(Finding { level: Level::Warning, area, what: what.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn wrong(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.all.push(Finding { level: Level::Wrong, area, what: what.into(), remedy: Some(remedy.into()) });
    }

    /// Of an error that says itself what would be right.
    pub(super) fn wrong_as_told(&mut self, area: &'static str, error: impl std::fmt::Display) {
        self.all.push(Finding { level: Level::Wrong, area, what: error.to_string(), remedy: None });
    }

    pub(super) fn is_well(&self) -> bool {
        self.all.iter().all(|finding| finding.level != Level::Wrong)
    }
}
