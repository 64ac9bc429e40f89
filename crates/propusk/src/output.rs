//! What people and scripts read: lines on standard output and standard error, tables, words for a shell.
//!
//! Colours go to terminals only, and `NO_COLOR` is respected; whoever reads through a pipe gets plain text. A reader
//! that has gone away is no error.

use std::borrow::Cow;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

/// Headings and what matters.
pub(crate) const BOLD: Style = Style::new().bold();
/// What is said beside.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What went well.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// What did not.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// What to mind.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Names and addresses.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// A line on standard output.
pub(crate) fn line(text: &str) {
    let mut out = anstream::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error.
pub(crate) fn error_line(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// `text` in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A table with aligned columns and a heading.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        cells.chain(head.get(column).copied()).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let heading = paint(BOLD, &aligned(head, &widths));
    let lines = rows.iter().map(|row| {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        aligned(&cells, &widths)
    });
    std::iter::once(heading).chain(lines).collect::<Vec<_>>().join("\n")
}

fn aligned(cells: &[&str], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| {
        let fill = width.saturating_sub(cell.chars().count());
        format!("{cell}{}", " ".repeat(fill))
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A word as a POSIX shell reads it back.
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "é".to_owned()], vec!["long".to_owned(), String::new()]];
        let text = anstream::adapter::strip_str(&table(&["id", "name"], &rows)).to_string();
        assert_eq!(text, "id    name\na     é\nlong");
    }

    #[test]
    fn words_for_a_shell() {
        assert_eq!(shell_word("/var/lib/x-1_2"), "/var/lib/x-1_2");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("$(x)"), "'$(x)'");
    }
}
