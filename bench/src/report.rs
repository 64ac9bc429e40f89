//! What a benchmark found: a table for people, the same as JSON for programs.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes a line of progress or an error for the person who waits.
pub(crate) fn say(line: &str) {
    // Nobody reads it any more: then nobody misses it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The results of one benchmark.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) benchmark: &'static str,
    /// Shorter than the real run.
    pub(crate) is_quick: bool,
    pub(crate) cores: usize,
    pub(crate) rows: Vec<Row>,
}

/// One promise, with everything that was measured about it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// How it was measured and what the bare figure is.
    pub(crate) note: String,
    pub(crate) figures: Vec<Figure>,
}

/// One number.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    measured: f64,
    /// The same without us.
    #[serde(skip_serializing_if = "Option::is_none")]
    bare: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name: name.into(), note: note.into(), figures: Vec::new() }
    }

    #[must_use]
    pub(crate) fn with(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }
}

impl Figure {
    pub(crate) fn new(name: &'static str, unit: &'static str, measured: f64) -> Self {
        Self { name, unit, measured, bare: None, goal: None }
    }

    #[must_use]
    pub(crate) fn beside(self, bare: f64) -> Self {
        Self { bare: Some(bare), ..self }
    }

    #[must_use]
    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtMost(bound)), ..self }
    }

    #[must_use]
    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(bound)), ..self }
    }

    /// `None` where nothing was promised.
    fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::AtMost(bound) => self.measured <= bound,
            Goal::AtLeast(bound) => self.measured >= bound,
        })
    }

    fn cells(&self) -> [String; 5] {
        let goal = self.goal.map_or_else(String::new, |goal| match goal {
            Goal::AtMost(bound) => format!("≤ {}", shown(bound)),
            Goal::AtLeast(bound) => format!("≥ {}", shown(bound)),
        });
        let met = self.is_met().map_or("", |met| if met { "✓" } else { "✗" });
        let name = if self.unit.is_empty() { self.name.to_owned() } else { format!("{} [{}]", self.name, self.unit) };
        [name, shown(self.measured), self.bare.map_or_else(String::new, shown), goal, met.to_owned()]
    }
}

/// Three digits that matter; thousands are kept whole.
fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Report {
    pub(crate) fn is_met(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.figures).all(|figure| figure.is_met() != Some(false))
    }

    /// Prints the table to standard output and writes the JSON, if a file is named.
    pub(crate) fn publish(&self, json: Option<&Path>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.table())?;
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(self)?;
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn table(&self) -> String {
        const HEAD: [&str; 5] = ["", "measured", "bare", "to reach", ""];
        let cells: Vec<Vec<[String; 5]>> =
            self.rows.iter().map(|row| row.figures.iter().map(Figure::cells).collect()).collect();
        let all = || cells.iter().flatten();
        let widest = |(column, head): (usize, &&str)| {
            let cells = all().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(head)]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = HEAD.iter().enumerate().map(widest).collect();
        let mut table = line(&HEAD.map(str::to_owned), &widths);
        for (row, figures) in self.rows.iter().zip(&cells) {
            table.push_str(&format!("\n{}\n  ({})\n", row.name, row.note));
            for figure in figures {
                table.push_str(&line(figure, &widths));
            }
        }
        table
    }
}

fn line(cells: &[String; 5], widths: &[usize]) -> String {
    let mut line = String::from(" ");
    for (column, (cell, wanted)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(wanted.saturating_sub(width(cell)));
        // Names to the left, numbers to the right.
        let padded = if column == 0 { format!(" {cell}{padding}") } else { format!("   {padding}{cell}") };
        line.push_str(&padded);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = Row::new("revoke", "how")
            .with(Figure::new("p99", "ms", 4.25).beside(2.0).at_most(7.0))
            .with(Figure::new("rate", "", 19_000.4).at_least(20_000.0));
        Report { benchmark: "feed", is_quick: true, cores: 2, rows: vec![row] }
    }

    #[test]
    fn the_table_lines_up_and_says_what_was_missed() {
        let expected = [
            "             measured   bare   to reach",
            "",
            "revoke",
            "  (how)",
            "  p99 [ms]       4.25   2.00     ≤ 7.00   ✓",
            "  rate          19000           ≥ 20000   ✗",
            "",
        ]
        .join("\n");
        assert_eq!(report().table(), expected);
        assert!(!report().is_met());
    }

    #[test]
    fn programs_read_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        let figure = &json["rows"][0]["figures"][0];
        assert_eq!((&figure["measured"], &figure["goal"]["at_most"]), (&4.25.into(), &7.0.into()));
        assert!(json["rows"][0]["figures"][1].get("bare").is_none());
    }
}
