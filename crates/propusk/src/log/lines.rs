//! Log lines on their way out, a few at a time.
//!
//! A server logs a line for each request. Writing each by itself would cost as much as a read of the database, and
//! whoever does not read standard error would hold the requests up. So lines are put together, and a thread of their
//! own writes them after a moment; a warning or an error goes out at once. If nobody takes them, the newest are lost
//! and counted.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const MOMENT: Duration = Duration::from_millis(20);
/// So many bytes go out at once.
const ENOUGH: usize = 64 * 1024;
/// More than this is not kept.
const MOST: usize = 1024 * 1024;
/// How long the last lines may take.
const LAST: Duration = Duration::from_secs(1);

/// Takes lines, and never waits.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or it is urgent by now.
    due: Condvar,
    /// All was written.
    empty: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    is_urgent: bool,
    is_writing: bool,
    lost: u64,
}

impl Lines {
    /// Starts the thread that writes.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_on(out))?;
        Ok(lines)
    }

    /// Waits until everything is written, but not for long.
    pub(super) fn flush(&self) {
        let mut state = self.state();
        state.is_urgent = true;
        self.0.due.notify_one();
        let left = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        drop(self.0.empty.wait_timeout_while(state, LAST, left));
    }

    fn add(&self, line: &[u8], is_urgent: bool) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MOST {
            state.lost += 1;
            return;
        }
        let was_calm = !state.waiting.is_empty() && !state.is_due();
        state.waiting.extend_from_slice(line);
        state.is_urgent |= is_urgent;
        // Who waits is woken for the first line of a few, and when they are enough.
        if !was_calm || state.is_due() {
            self.0.due.notify_one();
        }
    }

    fn write_on(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            let lost = self.take(&mut batch);
            // Nowhere is left to complain.
            let _ = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
            self.state().is_writing = false;
            self.0.empty.notify_all();
            if lost > 0 {
                tracing::warn!(lost, "log lines were lost: standard error was not read in time");
            }
        }
    }

    /// Waits for lines, and a moment for more of them; how many were lost before.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let due = &self.0.due;
        let state = due.wait_while(self.state(), |state| state.waiting.is_empty());
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waited = due.wait_timeout_while(state, MOMENT, |state| !state.is_due());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, batch);
        state.is_urgent = false;
        state.is_writing = true;
        std::mem::take(&mut state.lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.is_urgent || self.waiting.len() >= ENOUGH
    }
}

/// One line.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, is_urgent: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, is_urgent: *metadata.level() <= Level::WARN }
    }
}

/// It is written whole by each call.
impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Hands each write on, and goes on when it is told to.
    struct Slow {
        written: Sender<Vec<u8>>,
        go_on: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.go_on.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Receiver<Vec<u8>>, Sender<()>) {
        let ((written, seen), (go, go_on)) = (channel(), channel());
        (Lines::to(Slow { written, go_on }).unwrap(), seen, go)
    }

    #[test]
    fn lines_go_out_together_and_in_order() {
        let (lines, seen, go) = slow();
        lines.add(b"first\n", true);
        assert_eq!(seen.recv().unwrap(), b"first\n");
        for line in [&b"a\n"[..], b"b\n", b"c\n"] {
            lines.add(line, false);
        }
        go.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), b"a\nb\nc\n", "what came meanwhile is one write");
        go.send(()).unwrap();
        lines.flush();
        assert!(lines.state().waiting.is_empty());
    }

    #[test]
    fn what_nobody_takes_is_lost_and_counted() {
        let (lines, seen, go) = slow();
        lines.add(b"first\n", true);
        seen.recv().unwrap();
        let nearly_all = vec![b'x'; MOST - 100];
        lines.add(&nearly_all, false);
        lines.add(&[b'y'; 101], false);
        lines.add(b"one more\n", true);
        {
            let state = lines.state();
            assert_eq!((state.waiting.len(), state.lost), (nearly_all.len() + 9, 1), "what still fits is kept");
        }
        go.send(()).unwrap();
        assert!(seen.recv().unwrap().starts_with(b"xxx"));
    }
}
