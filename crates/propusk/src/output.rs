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

/// A table with aligned columns and a heading. On a terminal that is too narrow, cells of several words take several
/// lines; a word is never cut, so that an id can be copied.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    laid_out(head, rows, width)
}

/// Between two columns.
const GAP: usize = 2;

fn laid_out(head: &[&str], rows: &[Vec<String>], room: Option<usize>) -> String {
    let column =
        |n: usize| rows.iter().filter_map(move |row| row.get(n)).map(String::as_str).chain(head.get(n).copied());
    let mut widths: Vec<usize> = (0..head.len()).map(|n| column(n).map(length).max().unwrap_or(0)).collect();
    let longest_word = |n: usize| column(n).flat_map(str::split_whitespace).map(length).max().unwrap_or(0);
    let least: Vec<usize> = (0..head.len()).map(longest_word).collect();
    if let Some(room) = room {
        narrow(&mut widths, &least, room.saturating_sub(GAP * head.len().saturating_sub(1)));
    }
    let heading: Vec<_> = lines_of(head, &widths).iter().map(|line| paint(BOLD, line)).collect();
    let body = rows.iter().flat_map(|row| {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        lines_of(&cells, &widths)
    });
    heading.into_iter().chain(body).collect::<Vec<_>>().join("\n")
}

/// Takes from the widest column that still has something to give, until all of them fit or none has.
fn narrow(widths: &mut [usize], least: &[usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let widest =
            widths.iter_mut().zip(least).filter(|(width, least)| **width > **least).max_by_key(|(width, _)| **width);
        let Some((width, _)) = widest else { return };
        *width -= 1;
    }
}

/// A row: as many lines as its fullest cell needs.
fn lines_of(cells: &[&str], widths: &[usize]) -> Vec<String> {
    let wrapped: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    let line = |n: usize| {
        let padded = wrapped.iter().zip(widths).map(|(lines, width)| {
            let text = lines.get(n).map_or("", String::as_str);
            format!("{text}{}", " ".repeat(width.saturating_sub(length(text))))
        });
        padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

fn wrap(cell: &str, width: usize) -> Vec<String> {
    if length(cell) <= width {
        return vec![cell.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in cell.split_whitespace() {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Text of somebody else, with whatever would steer a terminal or turn the direction of writing made visible.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_harmful(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
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
    fn a_narrow_terminal_gets_more_lines_and_whole_words() {
        let rows = [vec!["u_0123456789".to_owned(), "cars:buy cars:create cars:delete".to_owned()]];
        let text = |room| anstream::adapter::strip_str(&laid_out(&["ID", "PERMISSIONS"], &rows, room)).to_string();
        assert_eq!(
            text(Some(38)),
            "ID            PERMISSIONS\nu_0123456789  cars:buy cars:create\n              cars:delete"
        );
        assert!(text(Some(38)).lines().all(|line| line.chars().count() <= 38));
        // What cannot be narrower stays whole; without a terminal nothing is broken.
        assert!(text(Some(5)).contains("u_0123456789  cars:buy\n              cars:create\n"));
        assert_eq!(text(None).lines().count(), 2);
    }

    /// A name, an address or a user agent of an attacker, on the terminal of an administrator.
    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        assert_eq!(harmless("Mozilla/5.0 (é)"), "Mozilla/5.0 (é)");
        assert_eq!(harmless("a\u{1b}[2Jb\nc\u{9b}d"), "a\\u{1b}[2Jb\\u{a}c\\u{9b}d");
        assert_eq!(harmless("\u{202e}nimda"), "\\u{202e}nimda");
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
