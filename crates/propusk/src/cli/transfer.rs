//! `propusk import` and `propusk export`: people with the hashes of their passwords.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ApiArgs;

/// How people are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A heading that names the columns, and a record for each person.
    Csv,
    /// A JSON object for each person, a line each.
    Jsonl,
}

/// `propusk import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file. Members or columns are username and, if there are such: id, email, password_hash, disabled, roles, groups,
    /// created_at. Hashes are of argon2, bcrypt, scrypt or PBKDF2. In a cell of CSV, roles and groups are separated by spaces.
    pub(crate) file: PathBuf,
    /// What the file is; without it, its ending tells (.csv, .jsonl, .ndjson).
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write each line that was refused to this file, with its number and the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejected: Option<PathBuf>,
    /// Go on where an import of this file was cut off. From the beginning would do no harm, but take longer.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// `propusk export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file, which is made with mode 0600 and must not be there yet; `-` is standard output.
    pub(crate) file: PathBuf,
    /// What to write; without it, the file's ending tells, and JSON lines where it does not.
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}
