//! `propusk export`: everybody, with the hashes of their passwords, into a file that only its owner can read.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::client::Api;
use super::{COLUMNS, format_of};
use crate::cli::{ApiArgs, ExportArgs, Format};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, GREEN, paint};

const PATH: &str = "/admin/v1/users/export";
/// As many people as the authority gives at once.
const PAGE: &str = "200";

/// Runs it.
pub(crate) async fn run(args: ExportArgs) -> Outcome {
    let format = args.format.or_else(|| format_of(&args.file)).unwrap_or(Format::Jsonl);
    if args.file == Path::new("-") {
        if args.api.json {
            return Err(Failure::usage("--json tells of the file; with `-` standard output is the file"));
        }
        let mut people = People::new(format, io::stdout().lock())?;
        write_all(&args.api, &mut people).await?;
        people.finish()?;
        return Ok(Exit::Done);
    }
    if args.file.symlink_metadata().is_ok() {
        let text = format!("{} is there already: name another file, or take that one away first", args.file.display());
        return Err(Failure::usage(text));
    }
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("{} cannot be written", args.file.display());
    // Mode 0600, and gone if anything below fails.
    let mut file = tempfile::Builder::new().prefix(".propusk-export-").tempfile_in(folder).with_context(cannot)?;
    let mut people = People::new(format, BufWriter::new(file.as_file_mut()))?;
    let count = write_all(&args.api, &mut people).await?;
    people.finish()?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist_noclobber(&args.file).map_err(|error| error.error).with_context(cannot)?;
    let path = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    if args.api.json {
        output::line(&json!({"file": path, "people": count}).to_string());
    } else {
        output::line(&format!("{} {}: {count} people", paint(GREEN, "✓"), path.display()));
    }
    Ok(Exit::Done)
}

/// Page by page; how many there were.
async fn write_all(args: &ApiArgs, people: &mut People<impl Write>) -> Result<u64, Failure> {
    let mut api = Api::connect(args).await?;
    let (mut count, mut cursor) = (0, None::<String>);
    loop {
        let query: Vec<_> =
            [("limit", PAGE)].into_iter().chain(cursor.as_deref().map(|cursor| ("cursor", cursor))).collect();
        let page = match api.get(PATH, &query).await {
            // A token may end during a long export.
            Err(failure) if failure.exit == Exit::NotAllowed && cursor.is_some() => {
                api = Api::connect(args).await?;
                api.get(PATH, &query).await?
            }
            page => page?,
        };
        for person in page.get("items").and_then(Value::as_array).context("the answer has no items")? {
            people.add(person).context("the file cannot be written")?;
            count += 1;
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(count),
        }
    }
}

/// What is written, in either form.
enum People<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> People<W> {
    fn new(format: Format, to: W) -> Result<Self> {
        match format {
            Format::Jsonl => Ok(Self::Jsonl(to)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(to);
                writer.write_record(COLUMNS).context("the file cannot be written")?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    fn add(&mut self, person: &Value) -> Result<()> {
        match self {
            Self::Jsonl(to) => writeln!(to, "{person}")?,
            Self::Csv(writer) => writer.write_record(COLUMNS.map(|column| cell(person.get(column))))?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Jsonl(mut to) => to.flush(),
            Self::Csv(mut writer) => writer.flush(),
        }
        .context("the file cannot be written")
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let people = [
            json!({"id": "u_1", "username": "ann", "email": "a,\"b@example.org", "password_hash": "$2b$04$x,y", "disabled": true, "roles": ["cars/buyer", "cars/admin"], "groups": ["drivers"], "created_at": "2026-11-22T14:00:00Z"}),
            json!({"id": "u_2", "username": "bob", "disabled": false}),
        ];
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Csv, Format::Jsonl] {
            let path = folder.path().join("people");
            let mut writer = People::new(format, std::fs::File::create(&path).unwrap()).unwrap();
            people.iter().for_each(|person| writer.add(person).unwrap());
            writer.finish().unwrap();
            let mut lines = Lines::open(&path, format, None).unwrap();
            for person in &people {
                assert_eq!(lines.next().unwrap().unwrap().item.as_ref(), Ok(person));
            }
            assert!(lines.next().unwrap().is_none());
        }
    }
}
