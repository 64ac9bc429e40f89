//! What the tour shows: what was done, the real answer, and what that means.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::output::{self, BOLD, CYAN, DIM, GREEN, RED, YELLOW, paint};

/// How a step ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    /// It did not go as it should.
    Failed(String),
    /// It cannot be shown here, for this reason.
    Skipped(String),
}

/// What a step yields: what it showed, in words.
pub(super) type Shown = Result<String, Cut>;

impl From<anyhow::Error> for Cut {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

/// The tour as it is told.
#[derive(Debug, Default)]
pub(super) struct Screen {
    step: usize,
    shown: usize,
    left_out: usize,
    failed: Vec<String>,
}

/// What is told is cut to what fits on a line.
pub(super) const WIDTH: usize = 112;

impl Screen {
    /// The first lines.
    pub(super) fn title(&self, text: &str, more: &[String]) {
        output::line(&format!("\n{}", paint(BOLD, text)));
        for line in more {
            output::line(&paint(DIM, line));
        }
        output::line("");
    }

    /// A step begins.
    pub(super) fn step(&mut self, title: &str) {
        self.step += 1;
        output::line(&format!("{} {}", paint(DIM, &format!("{:>3}", self.step)), paint(BOLD, title)));
    }

    /// What is done.
    pub(super) fn did(&self, text: &str) {
        output::line(&format!("    {} {}", paint(CYAN, "→"), cut(text, WIDTH)));
    }

    /// What came back.
    pub(super) fn saw(&self, text: &str) {
        output::line(&paint(DIM, &format!("    ← {}", cut(text, WIDTH))));
    }

    /// A step has ended.
    pub(super) fn end(&mut self, title: &str, outcome: Shown) {
        let line = match outcome {
            Ok(text) => {
                self.shown += 1;
                format!("{} {text}", paint(GREEN, "✓"))
            }
            Err(Cut::Failed(reason)) => {
                self.failed.push(title.to_owned());
                format!("{} {reason}", paint(RED, "✗"))
            }
            Err(Cut::Skipped(reason)) => {
                self.left_out += 1;
                format!("{} skipped: {reason}", paint(YELLOW, "–"))
            }
        };
        output::line(&format!("    {line}\n"));
    }

    /// Lets time pass that is part of the story, and shows on a terminal how much is left.
    pub(super) async fn wait(&self, duration: Duration, why: &str) {
        self.did(&format!("wait {:.1} s: {why}", duration.as_secs_f64()));
        let is_terminal = std::io::stderr().is_terminal();
        let end = tokio::time::Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                break;
            }
            if is_terminal {
                let _ = write!(std::io::stderr(), "\r      {:>4.0} s ", left.as_secs_f64().ceil());
            }
            tokio::time::sleep(left.min(Duration::from_millis(250))).await;
        }
        if is_terminal {
            let _ = write!(std::io::stderr(), "\r            \r");
        }
    }

    /// The last line; whether nothing failed.
    pub(super) fn finish(&self) -> bool {
        let mut parts = vec![paint(GREEN, &format!("{} ✓", self.shown))];
        if self.left_out > 0 {
            parts.push(paint(YELLOW, &format!("{} –", self.left_out)));
        }
        if !self.failed.is_empty() {
            parts.push(paint(RED, &format!("{} ✗", self.failed.len())));
        }
        output::line(&format!("{} {}", paint(BOLD, "The tour:"), parts.join("  ")));
        for title in &self.failed {
            output::line(&format!("  {} {title}", paint(RED, "✗")));
        }
        self.failed.is_empty()
    }
}

/// At most `width` letters of a text, the last an ellipsis if there are more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_failed_makes_the_tour_fail() {
        let mut screen = Screen::default();
        screen.step("a");
        screen.end("a", Ok("fine".to_owned()));
        screen.end("b", Err(Cut::Skipped("no reason".to_owned())));
        assert!(screen.finish());
        screen.end("d", Err(Cut::Failed("broken".to_owned())));
        assert!(!screen.finish());
    }

    #[test]
    fn long_answers_are_cut_between_letters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("éééééé", 5), "éééé…");
        assert_eq!(cut("x", 0), "…");
    }
}
