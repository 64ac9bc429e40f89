//! People with the hashes of their passwords, between files and the authority.
//!
//! | module | what it does |
//! |---|---|
//! | [`import`], [`export`] | the commands |
//! | [`lines`] | reads a file, a person at a time and in bounded memory |
//! | [`position`] | how far an import got, in a file beside the input |
//! | [`tally`] | what became of the lines, for people, programs and the file of refused ones |

pub(crate) mod export;
pub(crate) mod import;
mod lines;
mod position;
mod tally;

use std::path::Path;

use crate::cli::Format;

/// The columns of CSV, in the order in which an export writes them. In JSON they are the members.
const COLUMNS: [&str; 8] = ["id", "username", "email", "password_hash", "disabled", "roles", "groups", "created_at"];

/// Whether a column is a list.
fn is_list(column: &str) -> bool {
    matches!(column, "roles" | "groups")
}

/// What a file's ending says that it is.
fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
        _ => None,
    }
}
