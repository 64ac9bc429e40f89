//! The other side of each measurement runs in a process of its own, so that its processor time and memory are its own.
//!
//! A child is this same program. It reads one line of JSON, answers with one when it serves, and ends when its standard
//! input does: it cannot outlive the benchmark.

pub(crate) mod authority;
pub(crate) mod echo;

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

use crate::process::{Usage, cores};

/// A child that serves.
pub(crate) struct Served<R> {
    child: Child,
    stdin: ChildStdin,
    pid: u32,
    pub(crate) ready: R,
}

impl<R: DeserializeOwned> Served<R> {
    /// Starts this program with a subcommand and waits until it says that it serves.
    pub(crate) async fn start(subcommand: &str, spec: &impl Serialize) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .arg(subcommand)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {subcommand}"))?;
        let pid = child.id().context("it has ended")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        stdin.write_all(format!("{}\n", serde_json::to_string(spec)?).as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let ready = serde_json::from_str(&line).with_context(|| format!("{subcommand} did not start: {line:?}"))?;
        Ok(Self { child, stdin, pid, ready })
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }

    /// Ends it and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.stdin);
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("a child ended with {status}");
        }
        Ok(())
    }
}

/// How many threads the child's runtime has: half of the machine; the other half is the verifiers'.
fn workers() -> usize {
    (cores() / 2).max(1)
}

/// The child's side: reads the spec, and hands it on with what tells the end.
fn serve_with<S, F>(serve: impl FnOnce(S, oneshot::Receiver<()>) -> F) -> Result<()>
where
    S: DeserializeOwned,
    F: Future<Output = Result<()>>,
{
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let spec = serde_json::from_str(&line).context("the first line of standard input")?;
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?;
    runtime.block_on(serve(spec, ended))
}

/// Tells the parent that this child serves.
fn say_ready(ready: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(ready)?)?;
    out.flush()?;
    Ok(())
}
