//! Named steps with their times, and the few ways in which a step starts a program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

/// Runs steps in order and says at the end what each took.
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(String, f64)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// One step. Its name is printed before, its time and what went wrong after.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("── {name}");
        let begun = Instant::now();
        let outcome = step();
        let seconds = begun.elapsed().as_secs_f64();
        self.done.push((name.to_owned(), seconds));
        match outcome {
            Ok(()) => {
                eprintln!("   ✓ {name}: {seconds:.1} s");
                Ok(())
            }
            Err(error) => {
                eprintln!("   ✗ {name}: {seconds:.1} s\n{error:#}");
                Err(anyhow!("step `{name}` failed"))
            }
        }
    }

    /// Fails if any of several steps did, after all of them have run: whoever mends one wants to see the others too.
    pub(crate) fn all(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
        let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        if failed.is_empty() { Ok(()) } else { Err(anyhow!("{}", failed.join("\n✗ "))) }
    }

    /// The table of times.
    pub(crate) fn finish(self) {
        eprintln!("\nall steps passed");
        for (name, seconds) in &self.done {
            eprintln!("{seconds:>8.1} s  {name}");
        }
        eprintln!("{:>8.1} s  together", self.started.elapsed().as_secs_f64());
    }
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// In CI the lock file must already be right, and what is missing may be installed.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("PROPUSK_CI").is_some()
}

/// `cargo`, the one that runs us, in the workspace's folder.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    // What `cargo run` set for xtask itself is not for the crates that it builds.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_")
            || name_text.starts_with("CARGO_MANIFEST")
            || name_text == "CARGO_BIN_NAME"
        {
            command.env_remove(&name);
        }
    }
    command
}

/// `cargo VERB …` that respects the lock file in CI.
pub(crate) fn locked_cargo(verb: &str, arguments: &[&str]) -> Command {
    let mut command = cargo([verb]);
    if in_ci() {
        command.arg("--locked");
    }
    command.args(arguments);
    command
}

/// Runs a command whose output is for the reader; fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and returns what it wrote to standard output; fails if it does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not print UTF-8"))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
