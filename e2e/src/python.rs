//! Python, for what is not ours: a service in another language, and a reader of our OpenAPI document.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{root, target};

/// The interpreter of a virtual environment that holds what `requirements.txt` in a folder of `e2e` pins; `None` without
/// Python, which is allowed on a developer's machine only. `shows` says what is not shown then.
pub fn environment(folder: &str, shows: &str) -> Option<PathBuf> {
    let found = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(made(&root().join("e2e").join(folder), &target().join(format!("e2e-{folder}"))));
    }
    let in_ci = ["CI", "PROPUSK_CI"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!in_ci, "python3 with venv is missing; in CI it is required: apt-get install python3-venv");
    eprintln!("\n*** SKIPPED: python3 with venv is missing, so nothing was shown about {shows}.");
    eprintln!("*** sudo apt-get install python3 python3-venv\n");
    None
}

/// Makes the environment, once for each version of the requirements.
fn made(sources: &Path, folder: &Path) -> PathBuf {
    let requirements = sources.join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).expect("requirements.txt");
    let python = folder.join("bin/python");
    let done = folder.join("installed.txt");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(&requirements));
    std::fs::write(&done, wanted).expect("written");
    python
}
