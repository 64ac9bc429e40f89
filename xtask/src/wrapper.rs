//! Compiles our own crates with a `--cfg`, and nobody else's.
//!
//! `RUSTFLAGS` would reach every dependency: all of them would be compiled anew, and some mean something of their own by
//! `--cfg loom`. Cargo calls a workspace wrapper for members of the workspace only, and keeps what comes out apart. The
//! wrapper is this very program under another name, which says what to add: `rustc-with-loom`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::steps::target;

const PREFIX: &str = "rustc-with-";

/// If cargo called us as a wrapper: runs the compiler that it names.
pub(crate) fn run_if_called_as_one() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = PathBuf::from(arguments.next()?);
    let cfg = cfg_of(&name)?.to_owned();
    let rustc = arguments.next()?;
    let status = Command::new(rustc).args(arguments).args(["--cfg", &cfg]).status();
    let code = status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(1)))
}

/// `command`, a cargo, with `--cfg` for the members of the workspace.
pub(crate) fn with_cfg(mut command: Command, cfg: &str) -> Result<Command> {
    let folder = target().join("wrappers");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let wrapper = folder.join(format!("{PREFIX}{cfg}"));
    // Not the file of this very process: a build of the whole workspace may have put another in its place.
    let program = target().join("debug").join(format!("xtask{}", std::env::consts::EXE_SUFFIX));
    if std::fs::read_link(&wrapper).ok().as_deref() != Some(program.as_path()) {
        // Whatever was there led to the program of another checkout.
        drop(std::fs::remove_file(&wrapper));
        link(&program, &wrapper).with_context(|| format!("cannot make {}", wrapper.display()))?;
    }
    command.env("RUSTC_WORKSPACE_WRAPPER", OsString::from(wrapper));
    Ok(command)
}

#[cfg(unix)]
fn link(program: &Path, wrapper: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, wrapper)
}

#[cfg(not(unix))]
fn link(program: &Path, wrapper: &Path) -> std::io::Result<()> {
    std::fs::copy(program, wrapper).map(drop)
}

fn cfg_of(name: &Path) -> Option<&str> {
    name.file_stem()?.to_str()?.strip_prefix(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrapper_s_name_names_a_cfg() {
        assert_eq!(cfg_of(Path::new("/some/where/rustc-with-loom")), Some("loom"));
        assert_eq!(cfg_of(Path::new("/some/where/xtask")), None);
        assert_eq!(cfg_of(Path::new("rustc-with")), None);
    }
}
