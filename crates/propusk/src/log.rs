//! Log lines on standard error: for people on a terminal, JSON elsewhere.

mod lines;

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{Config, LogFormat};
use lines::Lines;

/// Where lines wait to be written.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Writes what was logged and waits to be written. To be called last of all.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// Starts logging as configured. Once in a process; a second call changes nothing.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.log_level.0);
    let is_terminal = io::stderr().is_terminal();
    let for_people = match config.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => is_terminal,
    };
    let writer = match Lines::to(io::stderr()) {
        Ok(lines) => BoxMakeWriter::new(LINES.get_or_init(|| lines).clone()),
        // Without a thread for it, each line is written by whoever has something to say.
        Err(_) => BoxMakeWriter::new(io::stderr),
    };
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    let started = if for_people {
        let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.with_ansi(has_colours).with_target(false).compact().try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    // Only tests start it twice.
    drop(started);
}
