//! A file of people, read a person at a time. Whatever is in it, what is held of it is bounded.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;
use csv::ByteRecord;
use serde_json::{Map, Value};

use super::{COLUMNS, is_list};
use crate::cli::Format;
use crate::exit::Failure;

/// No person takes more.
pub(super) const MAX_LINE_BYTES: usize = 32 * 1024;
/// A record of CSV ends at latest after this; a quote that is not closed would otherwise take the rest of the file.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// A line, or a record of CSV, which may be several.
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// A person as the authority takes it, or why it is none.
    pub(super) item: Result<Value, String>,
}

/// A place in a file, right behind a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) bytes: u64,
    /// The number of the line that comes next, less one.
    pub(super) line: u64,
}

/// The lines of a file.
pub(super) enum Lines {
    Csv(Box<CsvLines>),
    Json(JsonLines),
}

impl Lines {
    /// From a place on, or from the beginning.
    pub(super) fn open(path: &Path, format: Format, from: Option<Place>) -> Result<Self, Failure> {
        let cannot = || format!("{} cannot be read", path.display());
        let file = File::open(path).with_context(cannot)?;
        match format {
            Format::Csv => Ok(Self::Csv(Box::new(CsvLines::open(file, path, from)?))),
            Format::Jsonl => Ok(Self::Json(JsonLines::open(file, from).with_context(cannot)?)),
        }
    }

    /// The next one that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Failure> {
        match self {
            Self::Csv(lines) => lines.next(),
            Self::Json(lines) => Ok(lines.next().context("the file cannot be read any more")?),
        }
    }

    /// Right behind the last one.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Csv(lines) => lines.place(),
            Self::Json(lines) => lines.place,
        }
    }
}

/// A JSON object a line.
pub(super) struct JsonLines {
    reader: BufReader<File>,
    place: Place,
}

impl JsonLines {
    fn open(mut file: File, from: Option<Place>) -> io::Result<Self> {
        let place = from.unwrap_or_default();
        file.seek(SeekFrom::Start(place.bytes))?;
        Ok(Self { reader: BufReader::new(file), place })
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(line) = self.read()? else { return Ok(None) };
            let number = self.place.line;
            let item = match line {
                None => Err(format!("is longer than {} KiB", MAX_LINE_BYTES / 1024)),
                Some(line) => {
                    let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
                    if text.is_empty() {
                        continue;
                    }
                    object(text)
                }
            };
            return Ok(Some(Line { number, item }));
        }
    }

    /// A line, or `None` inside for one that is too long.
    fn read(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
            let read = (&mut self.reader).take(room as u64).read_until(b'\n', &mut line)?;
            self.place.bytes += read as u64;
            if line.is_empty() && !is_too_long {
                return Ok(None);
            }
            if read == 0 || line.ends_with(b"\n") {
                self.place.line += 1;
                return Ok(Some((!is_too_long).then_some(line)));
            }
            if line.len() > MAX_LINE_BYTES {
                is_too_long = true;
                line.clear();
            }
        }
    }
}

fn object(text: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("is no JSON object".to_owned()),
        // Of the text itself nothing is repeated: there may be a hash in it.
        Err(error) => Err(format!("is no JSON (column {})", error.column())),
    }
}

/// Records under a heading.
pub(super) struct CsvLines {
    reader: csv::Reader<Bounded>,
    read_since: Rc<Cell<usize>>,
    columns: Vec<&'static str>,
    record: ByteRecord,
}

impl CsvLines {
    fn open(file: File, path: &Path, from: Option<Place>) -> Result<Self, Failure> {
        let read_since = Rc::new(Cell::new(0));
        let bounded = Bounded { file, read_since: Rc::clone(&read_since) };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bounded);
        let cannot = || format!("{} is no CSV", path.display());
        let columns = columns(reader.byte_headers().with_context(cannot)?)?;
        if let Some(place) = from {
            let mut position = csv::Position::new();
            position.set_byte(place.bytes).set_line(place.line + 1).set_record(1);
            reader.seek(position).with_context(cannot)?;
        }
        Ok(Self { reader, read_since, columns, record: ByteRecord::new() })
    }

    fn next(&mut self) -> Result<Option<Line>, Failure> {
        self.read_since.set(0);
        if !self.reader.read_byte_record(&mut self.record).context("the file cannot be read any more")? {
            return Ok(None);
        }
        let number = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(Line { number, item: person(&self.columns, &self.record) }))
    }

    fn place(&self) -> Place {
        let position = self.reader.position();
        Place { bytes: position.byte(), line: position.line().saturating_sub(1) }
    }
}

fn columns(heading: &ByteRecord) -> Result<Vec<&'static str>, Failure> {
    let mut columns = Vec::new();
    for name in heading {
        let name = String::from_utf8_lossy(name);
        let known = COLUMNS.into_iter().find(|column| *column == name.trim());
        let Some(column) = known else {
            return Err(Failure::usage(format!("there is no column {name:?}: columns are {}", COLUMNS.join(", "))));
        };
        if columns.contains(&column) {
            return Err(Failure::usage(format!("the column {column} is there twice")));
        }
        columns.push(column);
    }
    if columns.contains(&"username") { Ok(columns) } else { Err(Failure::usage("there is no column username")) }
}

fn person(columns: &[&'static str], record: &ByteRecord) -> Result<Value, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} cells for {} columns", record.len(), columns.len()));
    }
    if record.as_slice().len() > MAX_LINE_BYTES {
        return Err(format!("is longer than {} KiB", MAX_LINE_BYTES / 1024));
    }
    let mut members = Map::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = std::str::from_utf8(cell).map_err(|_| format!("{column} is no UTF-8"))?.trim();
        if cell.is_empty() {
            continue;
        }
        let value = match *column {
            list if is_list(list) => cell.split_whitespace().collect(),
            "disabled" => match cell.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => true.into(),
                "false" | "no" | "0" => false.into(),
                _ => return Err("disabled is true or false".to_owned()),
            },
            _ => cell.into(),
        };
        members.insert((*column).to_owned(), value);
    }
    Ok(Value::Object(members))
}

/// A file of which not too much is read between two records.
pub(super) struct Bounded {
    file: File,
    read_since: Rc<Cell<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read_since.get() > MAX_RECORD_BYTES {
            return Err(io::Error::other("a record is longer than 1 MiB: is there a quote that is not closed?"));
        }
        let read = self.file.read(buffer)?;
        self.read_since.set(self.read_since.get() + read);
        Ok(read)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn read(path: &Path, format: Format, from: Option<Place>) -> Vec<(u64, Result<Value, String>)> {
        let mut lines = Lines::open(path, format, from).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.number, line.item));
        }
        all
    }

    #[test]
    fn lines_of_json_are_people_or_say_why_not() {
        let long = format!("{{\"username\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES));
        let text = format!("\u{feff}{{\"username\":\"a\"}}\r\n\n[1]\n{long}\nsecret{{\n{{\"username\":\"b\"}}");
        let (_folder, path) = file(text);
        let all = read(&path, Format::Jsonl, None);
        let expected = [
            (1, Ok(json!({"username": "a"}))),
            (3, Err("is no JSON object".to_owned())),
            (4, Err("is longer than 32 KiB".to_owned())),
            (5, Err("is no JSON (column 1)".to_owned())),
            (6, Ok(json!({"username": "b"}))),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn records_of_csv_are_people_or_say_why_not() {
        let text = "username,roles,disabled,email\na,cars/buyer cars/admin,yes,\n\"b\nc\",,,\nd,,maybe,\ne,,\nf,,false,f@example.org\n";
        let (_folder, path) = file(text);
        let expected = [
            (2, Ok(json!({"username": "a", "roles": ["cars/buyer", "cars/admin"], "disabled": true}))),
            (3, Ok(json!({"username": "b\nc"}))),
            (5, Err("disabled is true or false".to_owned())),
            (6, Err("has 3 cells for 4 columns".to_owned())),
            (7, Ok(json!({"username": "f", "disabled": false, "email": "f@example.org"}))),
        ];
        assert_eq!(read(&path, Format::Csv, None), expected);
        for heading in ["user,email\n", "username,username\n", "email\n"] {
            let (_folder, path) = file(heading);
            assert!(Lines::open(&path, Format::Csv, None).is_err(), "{heading}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_does_not_take_all_memory() {
        let (_folder, path) = file(format!("username\n\"{}", "x\n".repeat(2 * MAX_RECORD_BYTES)));
        let mut lines = Lines::open(&path, Format::Csv, None).unwrap();
        assert!(lines.next().is_err());
    }

    fn cells() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-z ,\"\n]{0,12}", 1..30)
    }

    proptest! {
        /// Wherever an import is cut off, what comes after is what would have come.
        #[test]
        fn from_any_place_on_come_the_same_lines(names in cells(), is_csv: bool, cut in 0_usize..30) {
            let text = if is_csv {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(["username", "email"]).unwrap();
                for name in &names {
                    writer.write_record([name.as_str(), "x"]).unwrap();
                }
                writer.into_inner().unwrap()
            } else {
                names.iter().flat_map(|name| format!("{}\n", json!({"username": name})).into_bytes()).collect()
            };
            let format = if is_csv { Format::Csv } else { Format::Jsonl };
            let (_folder, path) = file(text);
            let all = read(&path, format, None);
            prop_assert_eq!(all.len(), names.len());
            let cut = cut.min(names.len());
            let mut lines = Lines::open(&path, format, None).unwrap();
            for _ in 0..cut {
                lines.next().unwrap();
            }
            let place = if cut == 0 { None } else { Some(lines.place()) };
            prop_assert_eq!(read(&path, format, place), all[cut..].to_vec());
        }

        #[test]
        fn whatever_is_in_a_file_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), is_csv: bool) {
            let format = if is_csv { Format::Csv } else { Format::Jsonl };
            let text = if is_csv { [b"username\n".as_slice(), &bytes].concat() } else { bytes };
            let (_folder, path) = file(text);
            let mut lines = Lines::open(&path, format, None).unwrap();
            while let Ok(Some(_)) = lines.next() {}
        }
    }
}
