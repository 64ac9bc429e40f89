//! Log lines on standard error: for people on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat};

/// Starts logging as configured. Once in a process; a second call changes nothing.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.log_level.0);
    let is_terminal = io::stderr().is_terminal();
    let for_people = match config.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => is_terminal,
    };
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if for_people {
        let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.with_ansi(has_colours).with_target(false).compact().try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    // Only tests start it twice.
    drop(started);
}
