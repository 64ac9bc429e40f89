//! Each part a child process of the same binary, so that one can be stopped or killed by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use propusk_core::secret::PlainSecret;
use propusk_server::demo::DemoData;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::plan::{Plan, Sockets};
use crate::exit::Failure;
use crate::serve::{self, DRAIN, KEK_VARIABLE, Part, Stop};

/// A running system.
#[derive(Debug)]
pub(super) struct Split {
    /// Gateway and services: they stop first.
    front: Vec<JoinHandle<()>>,
    front_stop: Stop,
    authority: JoinHandle<()>,
    authority_stop: Stop,
    /// Process id and command line of each part.
    pub(super) processes: BTreeMap<Part, (u32, Vec<String>)>,
}

/// The authority has this long to answer; the others are not started before.
const AUTHORITY_LIMIT: Duration = Duration::from_secs(30);

/// Makes the demo data in this process, then starts a child for each part.
///
/// It must run on the main thread: children end when the thread ends that started them.
pub(super) async fn start(
    plan: &Plan,
    sockets: Sockets,
    kept: BTreeMap<String, PlainSecret>,
) -> Result<(Split, DemoData), Failure> {
    let demo = serve::prepare_demo(&plan.config(Part::Authority), kept).await?;
    // The children take the ports over.
    drop(sockets);
    let (front_stop, authority_stop) = (Stop::new(), Stop::new());
    let mut processes = BTreeMap::new();
    let mut spawn = |part: Part, stop: &Stop, limit: Duration| -> Result<JoinHandle<()>> {
        let (child, pid, argv) = spawn(part, plan)?;
        processes.insert(part, (pid, argv));
        Ok(tokio::spawn(keep(part, child, stop.asked(), limit)))
    };
    let authority = spawn(Part::Authority, &authority_stop, DRAIN / 4)?;
    plan.until_ready(Part::Authority, AUTHORITY_LIMIT).await?;
    let others = Part::ALL.into_iter().filter(|part| *part != Part::Authority);
    let front = others.map(|part| spawn(part, &front_stop, DRAIN * 3 / 4)).collect::<Result<_>>()?;
    Ok((Split { front, front_stop, authority, authority_stop, processes }, demo))
}

/// Starts the child of a part; the command line that starts it again.
fn spawn(part: Part, plan: &Plan) -> Result<(Child, u32, Vec<String>)> {
    let binary = std::env::current_exe().context("cannot find the file of this program")?;
    let arguments = part.arguments(&plan.config(part));
    let mut command = Command::new(&binary);
    command.args(&arguments).args(["--child-of", &std::process::id().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // All that they should know is in their arguments.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    let child = command.spawn().with_context(|| format!("cannot start {}", part.name()))?;
    let pid = child.id().context("a child without a process id")?;
    let argv = std::iter::once(binary.to_string_lossy().into_owned()).chain(arguments).collect();
    Ok((child, pid, argv))
}

fn is_setting(name: &OsString) -> bool {
    name.to_string_lossy().starts_with("PROPUSK_") && name != KEK_VARIABLE
}

/// Waits for the end of a child; when `stop` comes first, ends it within `limit`.
async fn keep(part: Part, mut child: Child, stop: impl Future<Output = ()>, limit: Duration) {
    let part = part.name();
    tokio::select! {
        status = child.wait() => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            tracing::warn!(part, status, "a part ended; it is not started again");
            return;
        }
        () = stop => {}
    }
    // One that is stopped would not see the first signal.
    for signal in [Signal::SIGTERM, Signal::SIGCONT] {
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
    if tokio::time::timeout(limit, child.wait()).await.is_err() {
        tracing::warn!(part, "killed: it did not end when asked");
        let _ = child.kill().await;
    }
}

impl Split {
    /// Ends what still runs, gateway and services first.
    pub(super) async fn stop(self) {
        self.front_stop.now();
        futures_util::future::join_all(self.front).await;
        self.authority_stop.now();
        let _ = self.authority.await;
    }
}
