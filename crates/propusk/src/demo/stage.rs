//! The system that the tour goes through: one that runs already, or one of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::run_file::Running;
use crate::secret::SecretText;

/// A system.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) authority: String,
    pub(super) gateway: String,
    pub(super) services: BTreeMap<String, String>,
    /// A file with the certificates to trust, if they are not those of the machine.
    pub(super) ca: Option<PathBuf>,
    /// The administrator's password, where it is known.
    pub(super) admin_password: Option<SecretText>,
    /// The processes of a system of our own.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    up: Child,
    parts: BTreeMap<String, PartProcess>,
    restarted: Vec<Child>,
}

/// What `up --json` prints, as far as the tour needs it.
#[derive(Debug, Deserialize)]
struct Ready {
    authority: String,
    gateway: String,
    services: BTreeMap<String, String>,
    admin: Admin,
    processes: BTreeMap<String, PartProcess>,
}

#[derive(Debug, Deserialize)]
struct Admin {
    password: Option<SecretText>,
}

#[derive(Debug, Deserialize)]
struct PartProcess {
    pid: i32,
    argv: Vec<String>,
}

/// Life of the access tokens of a system of our own: long enough for every step, short enough to wait for its end.
pub(super) const OWN_ACCESS_TTL: Duration = Duration::from_secs(15);
/// The clock difference that its verifiers allow on top.
pub(super) const OWN_LEEWAY: Duration = Duration::from_secs(1);

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(6);

impl Stage {
    /// A system that somebody else runs.
    pub(super) fn running(running: Running, admin_password: Option<SecretText>) -> Self {
        let Running { authority, gateway, services, ca, .. } = running;
        Self { authority, gateway, services, ca, admin_password, own: None }
    }

    /// Starts a system that ends with the tour.
    pub(super) async fn start() -> Result<Self> {
        let ttl = format!("token.access_ttl={}s", OWN_ACCESS_TTL.as_secs());
        let leeway = format!("token.leeway={}s", OWN_LEEWAY.as_secs());
        let own_pid = std::process::id().to_string();
        let mut command = ourselves()?;
        command.args(["up", "--ephemeral", "--split", "--json", "--child-of", &own_pid]);
        command.args(["--set", &ttl, "--set", &leeway, "--set", "log.level=warn", "--set", "log.format=human"]);
        // Nobody keeps key sets of a system this short-lived, and nobody wants to watch a rotation wait for them.
        command.args(["--set", "keys.settle=1s", "--set", "keys.jwks_max_age=1s"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut up = command.spawn().context("`propusk up` cannot be started")?;
        let complaints = up.stderr.take().context("no standard error")?;
        let complaints = tokio::spawn(read_complaints(complaints));
        let stdout = BufReader::new(up.stdout.take().context("no standard output")?);
        let line = tokio::time::timeout(START_LIMIT, stdout.lines().next_line()).await;
        let Ok(Ok(Some(line))) = line else {
            let _ = up.kill().await;
            bail!("`propusk up` did not become ready:\n{}", complaints.await.unwrap_or_default());
        };
        let ready: Ready = serde_json::from_str(&line).context("the ready line of `propusk up`")?;
        let own = Own { up, parts: ready.processes, restarted: Vec::new() };
        Ok(Self {
            authority: ready.authority,
            gateway: ready.gateway,
            services: ready.services,
            ca: None,
            admin_password: ready.admin.password,
            own: Some(own),
        })
    }

    /// Whether it is our own, in processes that can be stopped.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The base URL of a service.
    pub(super) fn service(&self, name: &str) -> Result<&str> {
        self.services.get(name).map(String::as_str).with_context(|| format!("no service {name}"))
    }

    /// Sends a signal to a part of our own system.
    pub(super) fn signal(&self, part: &str, signal: Signal) -> Result<i32> {
        let pid = self.own.as_ref().and_then(|own| own.parts.get(part)).map(|part| part.pid);
        let pid = pid.with_context(|| format!("no process of {part}"))?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot signal {part}"))?;
        Ok(pid)
    }

    /// Starts a part again that was killed, by the command line that `up` told.
    pub(super) fn restart(&mut self, part: &str) -> Result<i32> {
        let own = self.own.as_mut().context("not our own system")?;
        let process = own.parts.get_mut(part).with_context(|| format!("no process of {part}"))?;
        let (program, arguments) = process.argv.split_first().context("no command line")?;
        let mut command = without_settings(Command::new(program));
        command.args(arguments).args(["--child-of", &std::process::id().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{part} cannot be started again"))?;
        process.pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("no process id")?;
        own.restarted.push(child);
        Ok(process.pid)
    }

    /// Ends a system of our own.
    pub(super) async fn end(self) {
        let Some(own) = self.own else { return };
        // Its parts take leave of the authority, which may be one that was restarted.
        for mut child in std::iter::once(own.up).chain(own.restarted) {
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            if tokio::time::timeout(STOP_LIMIT, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

/// This program, knowing only what it is told on its command line.
fn ourselves() -> Result<Command> {
    let binary = std::env::current_exe().context("cannot find the file of this program")?;
    Ok(without_settings(Command::new(binary)))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PROPUSK_") {
            command.env_remove(name);
        }
    }
    command
}

/// The end of what it writes to standard error, which is of interest only if it fails.
async fn read_complaints(mut source: tokio::process::ChildStderr) -> String {
    const KEPT: usize = 4096;
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = source.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        kept.extend_from_slice(buffer.get(..length).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The administrator's password, as somebody keeps it in a file.
pub(super) fn read_password(path: &Path) -> Result<SecretText> {
    Ok(crate::private::read(path)?.into())
}
