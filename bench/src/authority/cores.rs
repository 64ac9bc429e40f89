//! Who runs on which core.

use anyhow::Result;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::process::cores;

/// The server's core.
pub(super) const SERVER: fn() -> usize = || 0;
/// The callers' core: another one, if there is one.
pub(super) const LOAD: fn() -> usize = || all() - 1;

/// Asked once, before any thread was bound: who is bound to one core counts one.
fn all() -> usize {
    static ALL: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *ALL.get_or_init(cores)
}

/// Binds this thread, and the threads and processes that it starts from now on, to one core.
pub(super) fn stay_on(core: fn() -> usize) -> Result<()> {
    all();
    let mut set = CpuSet::new();
    set.set(core())?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

/// Does something on the server's core, and comes back.
pub(super) fn on_server<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    stay_on(SERVER)?;
    let done = work();
    stay_on(LOAD)?;
    done
}
