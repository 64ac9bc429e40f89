//! `DIR/run.json`: where the parts of the running `up` are, so that other commands find it. No secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::private;

/// What runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process of `up`.
    pub(crate) pid: u32,
    /// The issuer.
    pub(crate) issuer: String,
    /// Base URL of the authority.
    pub(crate) authority: String,
    /// Base URL of the gateway.
    pub(crate) gateway: String,
    /// URL of the gRPC listener.
    pub(crate) feed: String,
    /// A file with the certificates to trust there, if they are not those of the machine.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
    /// Base URLs of the services.
    pub(crate) services: BTreeMap<String, String>,
}

fn path(data: &Path) -> PathBuf {
    data.join("run.json")
}

/// Writes it for the time that the returned value lives.
pub(crate) fn write(data: &Path, running: &Running) -> Result<RunFile> {
    let path = path(data);
    private::replace(&path, &serde_json::to_string_pretty(running)?)?;
    Ok(RunFile(path))
}

/// The file of a running `up`; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct RunFile(PathBuf);

impl Drop for RunFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What runs on a data directory; `None` if nothing does. What a killed process left behind does not count.
pub(crate) fn read(data: &Path) -> Result<Option<Running>> {
    let path = path(data);
    let text = match private::read(&path) {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let running: Running = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(is_alive(running.pid).then_some(running))
}

/// Whether there is such a process, of ours or not.
fn is_alive(pid: u32) -> bool {
    use nix::errno::Errno;
    let Ok(pid) = i32::try_from(pid) else { return false };
    !matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(pid: u32) -> Running {
        let url = || "http://127.0.0.1:1".to_owned();
        Running {
            pid,
            issuer: url(),
            authority: url(),
            gateway: url(),
            feed: url(),
            ca: None,
            services: BTreeMap::new(),
        }
    }

    #[test]
    fn it_is_there_while_the_process_runs() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_none());
        let file = write(folder.path(), &running(std::process::id())).unwrap();
        assert_eq!(read(folder.path()).unwrap().unwrap().pid, std::process::id());
        drop(file);
        assert!(read(folder.path()).unwrap().is_none());
        let _stale = write(folder.path(), &running(i32::MAX.cast_unsigned())).unwrap();
        assert!(read(folder.path()).unwrap().is_none());
    }
}
