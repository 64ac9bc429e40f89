//! How a command ends: its exit status, and the error on standard error.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::ConfigErrors;

/// The exit status of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It failed, or one of several things did.
    Failed = 1,
    /// Usage or configuration is wrong.
    Usage = 2,
    /// Committed, but not enforced within the limit.
    NotEnforced = 3,
    /// Not signed in, or not allowed.
    NotAllowed = 4,
    /// The authority cannot be reached.
    Unreachable = 5,
}

/// What a command yields.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: anyhow::Error,
    /// The authority's own problem document, if the error is one.
    problem: Option<Value>,
}

impl Failure {
    /// With a status of its own.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), problem: None }
    }

    /// Something in the command line or the configuration.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(text.into()))
    }

    /// What the authority answered.
    pub(crate) fn of_problem(exit: Exit, text: String, problem: Value) -> Self {
        Self { problem: Some(problem), ..Self::new(exit, anyhow::Error::msg(text)) }
    }

    /// Which problem the authority named, without its prefix.
    pub(crate) fn slug(&self) -> Option<&str> {
        self.problem.as_ref()?.get("type")?.as_str()?.strip_prefix("urn:propusk:problem:")
    }

    /// With what to try next, for people.
    pub(crate) fn advise(mut self, advice: &str) -> Self {
        self.error = anyhow::anyhow!("{:#}. {advice}", self.error);
        self
    }

    /// Tells it on standard error: in words, or as a problem document (RFC 9457).
    pub(crate) fn report(&self, as_json: bool) {
        if as_json {
            crate::output::error_line(&self.document().to_string());
        } else {
            crate::output::error_line(&format!("propusk: {:#}", self.error));
        }
    }

    fn document(&self) -> Value {
        let (slug, title) = match self.exit {
            Exit::Done | Exit::Failed => ("failed", "The command failed"),
            Exit::Usage => ("usage", "The command line or the configuration is wrong"),
            Exit::NotEnforced => ("not-enforced", "Committed, but not enforced within the limit"),
            Exit::NotAllowed => ("not-allowed", "Not signed in, or not allowed"),
            Exit::Unreachable => ("authority-unreachable", "The authority cannot be reached"),
        };
        self.problem.clone().unwrap_or_else(
            || json!({"type": format!("urn:propusk:problem:{slug}"), "title": title, "detail": format!("{:#}", self.error)}),
        )
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(Exit::Usage, errors)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
