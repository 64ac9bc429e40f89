//! Asking on the terminal: for a password, without showing it, and whether somebody is sure.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::SureArgs;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::private;

/// From a file, or from whoever sits at the terminal.
pub(super) fn password(file: Option<&Path>, question: &str) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => private::read(file).map_err(|error| Failure::new(Exit::Usage, error)),
        None if io::stdin().is_terminal() => Ok(ask(question)?),
        None => Err(Failure::usage("no terminal to ask for the password: give --password-file FILE")),
    }
}

/// A new password: at the terminal it is typed twice, for nobody sees it.
pub(super) fn new_password(file: Option<&Path>, question: &str) -> Result<Zeroizing<String>, Failure> {
    let first = password(file, question)?;
    if file.is_none() && *ask("The same again")? != *first {
        return Err(Failure::new(Exit::Failed, anyhow::anyhow!("the two are not the same: nothing was done")));
    }
    Ok(first)
}

/// Asks whoever sits at the terminal, if somebody does. A script has made up its mind.
pub(super) fn sure(args: &SureArgs, question: &str) -> Result<(), Failure> {
    let (stdin, mut err) = (io::stdin(), io::stderr());
    if args.yes || !stdin.is_terminal() || !err.is_terminal() {
        return Ok(());
    }
    let mut line = String::new();
    let asked = write!(err, "{} [y/N] ", output::harmless(question)).and_then(|()| err.flush());
    asked.and_then(|()| stdin.lock().read_line(&mut line)).context("cannot ask: give --yes")?;
    if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, anyhow::anyhow!("nothing was done")))
}

fn ask(question: &str) -> Result<Zeroizing<String>> {
    let mut err = io::stderr();
    write!(err, "{question}: ").and_then(|()| err.flush())?;
    let silence = Silence::begin()?;
    let read = read_line_or(silence.interrupt);
    drop(silence);
    writeln!(err)?;
    let Some(line) = read.context("cannot read the password")? else {
        raise(Signal::SIGINT)?;
        bail!("interrupted");
    };
    let line = std::str::from_utf8(&line).context("what was typed is not UTF-8")?;
    Ok(Zeroizing::new(line.trim_end_matches('\r').to_owned()))
}

/// What was typed before the end of the line; nothing if this came first.
fn read_line_or(interrupt: u8) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' => break,
            byte if byte == interrupt => return Ok(None),
            byte => line.push(byte),
        }
    }
    Ok(Some(line))
}

/// While it lives, the terminal does not show what is typed. Ctrl-C ends a line then and nothing else: as a signal it would
/// end this program before the terminal is as it was.
struct Silence {
    before: Termios,
    interrupt: u8,
}

impl Silence {
    fn begin() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("the terminal cannot be made silent")?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        let [interrupt, end_of_line] = [SpecialCharacterIndices::VINTR, SpecialCharacterIndices::VEOL];
        let interrupt = before.control_chars.get(interrupt as usize).copied().unwrap_or_default();
        if let Some(end_of_line) = silent.control_chars.get_mut(end_of_line as usize) {
            *end_of_line = interrupt;
        }
        tcsetattr(io::stdin(), SetArg::TCSANOW, &silent).context("the terminal cannot be made silent")?;
        Ok(Self { before, interrupt })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
