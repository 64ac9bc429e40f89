//! `propusk import`: a file of people, batch by batch.
//!
//! The authority takes a batch whole or not at all, and importing the same again changes nothing. So after a crash, of
//! either side, the import is started again: from the beginning, or with `--resume` from where it got to.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::super::change::Change;
use super::super::client::Api;
use super::format_of;
use super::lines::{Line, Lines, Place};
use super::position::{self, Position};
use super::tally::{Refused, Tally};
use crate::cli::{Format, ImportArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

const PATH: &str = "/admin/v1/users/import";
/// As many people as the authority takes at once.
const MAX_ITEMS: usize = 200;
/// Of one call; the authority takes 64 KiB.
const MAX_BYTES: usize = 56 * 1024;

/// Runs it.
pub(crate) async fn run(args: ImportArgs) -> Outcome {
    let format = args.format.or_else(|| format_of(&args.file)).ok_or_else(|| {
        Failure::usage(format!("{}: say what it is with --format csv or --format jsonl", args.file.display()))
    })?;
    let api = Api::connect(&args.api).await?;
    let mut import = Import::begin(&args, format, api)?;
    while let Some(batch) = import.next_batch()? {
        if let Err(failure) = import.send(batch).await {
            import.bar.abandon();
            return Err(failure.advise(&format!(
                "{} up to here. Go on with: propusk import {} --resume",
                import.tally.in_words(),
                output::shell_word(&args.file.to_string_lossy())
            )));
        }
    }
    import.bar.finish_and_clear();
    position::forget(&args.file);
    import.tally.tell(args.api.json);
    Ok(if import.tally.counts.refused == 0 { Exit::Done } else { Exit::Failed })
}

struct Import<'a> {
    args: &'a ImportArgs,
    api: Api,
    lines: Lines,
    tally: Tally,
    bar: ProgressBar,
    /// Read, and in no batch yet.
    next: Option<(Line, Place)>,
}

impl<'a> Import<'a> {
    fn begin(args: &'a ImportArgs, format: Format, api: Api) -> Result<Self, Failure> {
        let kept = Position::kept(&args.file, api.base());
        let kept = match (kept, args.resume) {
            (Some(kept), true) => Some(kept),
            (Some(_), false) => {
                output::error_line("An import of this file was cut off; --resume goes on where it got to.");
                None
            }
            (None, true) => {
                output::error_line("There is nothing to resume for this file here: it begins at the beginning.");
                None
            }
            (None, false) => None,
        };
        let lines = Lines::open(&args.file, format, kept.as_ref().map(Position::place))?;
        let (counts, rejected_bytes) = kept.as_ref().map(|kept| (kept.counts, kept.rejected_bytes)).unwrap_or_default();
        let tally = Tally::begin(counts, args.rejected.as_deref(), rejected_bytes)?;
        let bar = bar(&args.file, args.api.json)?;
        Ok(Self { args, api, lines, tally, bar, next: None })
    }

    /// As many lines as one call takes; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<Batch>, Failure> {
        let mut batch = Batch::default();
        while let Some((line, end)) = self.next_line()? {
            if !batch.has_room_for(&line) {
                self.next = Some((line, end));
                break;
            }
            batch.add(line, end);
        }
        Ok((!batch.lines.is_empty()).then_some(batch))
    }

    /// With the place behind it.
    fn next_line(&mut self) -> Result<Option<(Line, Place)>, Failure> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        let line = self.lines.next()?;
        Ok(line.map(|line| (line, self.lines.place())))
    }

    /// Has a batch committed, and notes what became of it.
    async fn send(&mut self, batch: Batch) -> Result<(), Failure> {
        let people: Vec<&Value> = batch.lines.iter().filter_map(|line| line.item.as_ref().ok()).collect();
        let answer = if people.is_empty() { Value::Null } else { self.post(&json!({ "items": people })).await? };
        let mut outcomes = answer.get("items").and_then(Value::as_array).into_iter().flatten();
        for line in &batch.lines {
            let reason = match &line.item {
                Ok(_) => self.count(outcomes.next().context("the answer does not tell of everybody")?)?,
                Err(reason) => Some(reason.clone()),
            };
            let Some(reason) = reason else { continue };
            let named = line.item.as_ref().ok().and_then(|item| item.get("username")?.as_str());
            let refused = Refused { line: line.number, username: named.map(str::to_owned), reason };
            let words = self.tally.refused(&refused)?.filter(|_| !self.args.api.json);
            if let Some(words) = words {
                self.bar.suspend(|| output::error_line(&words));
            }
        }
        let (counts, rejected_bytes) = (self.tally.counts, self.tally.rejected_bytes());
        Position::at(&self.args.file, self.api.base(), batch.end, counts, rejected_bytes)?.keep(&self.args.file)?;
        self.bar.set_position(batch.end.bytes);
        self.bar.set_message(self.tally.in_words());
        Ok(())
    }

    /// Why somebody was refused, if so.
    fn count(&mut self, outcome: &Value) -> Result<Option<String>, Failure> {
        let text = |member: &str| outcome.get(member).and_then(Value::as_str);
        match text("outcome") {
            Some("created") => self.tally.counts.created += 1,
            Some("exists") => self.tally.counts.exists += 1,
            Some("refused") => return Ok(Some(text("reason").unwrap_or("the authority does not say why").to_owned())),
            _ => return Err(anyhow::anyhow!("the answer has an outcome that is not known: {outcome}").into()),
        }
        Ok(None)
    }

    /// A token may end during a long import: then another is got.
    async fn post(&mut self, body: &Value) -> Result<Value, Failure> {
        let change = || Change::post(PATH).body(body.clone());
        match self.api.change(change()).await {
            Err(failure) if failure.exit == Exit::NotAllowed => {
                self.api = Api::connect(&self.args.api).await?;
                Ok(self.api.change(change()).await?.document)
            }
            answer => Ok(answer?.document),
        }
    }
}

/// Lines for one call.
#[derive(Default)]
struct Batch {
    lines: Vec<Line>,
    bytes: usize,
    /// The place behind the last one.
    end: Place,
}

impl Batch {
    fn has_room_for(&self, line: &Line) -> bool {
        self.lines.is_empty() || (self.lines.len() < MAX_ITEMS && self.bytes + length(line) <= MAX_BYTES)
    }

    fn add(&mut self, line: Line, end: Place) {
        self.bytes += length(&line);
        self.lines.push(line);
        self.end = end;
    }
}

/// In the body of a call.
fn length(line: &Line) -> usize {
    line.item.as_ref().map_or(0, |item| item.to_string().len() + 1)
}

/// On a terminal only, and without colours.
fn bar(file: &Path, is_json: bool) -> Result<ProgressBar, Failure> {
    let length = file.metadata().with_context(|| format!("{} cannot be read", file.display()))?.len();
    let is_watched = std::io::stderr().is_terminal() && !is_json;
    let target = if is_watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  ({eta} left)").context("the progress bar")?;
    Ok(ProgressBar::with_draw_target(Some(length), target).with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_no_more_than_one_call_takes() {
        let line = |n: usize| Line { number: 1, item: Ok(json!({"username": "x".repeat(n)})) };
        let mut batch = Batch::default();
        while batch.has_room_for(&line(10)) {
            batch.add(line(10), Place::default());
        }
        assert_eq!(batch.lines.len(), MAX_ITEMS);
        let mut batch = Batch::default();
        while batch.has_room_for(&line(5000)) {
            batch.add(line(5000), Place::default());
        }
        assert!((8..=11).contains(&batch.lines.len()), "{}", batch.lines.len());
        assert!(Batch::default().has_room_for(&line(super::super::lines::MAX_LINE_BYTES)));
    }
}
