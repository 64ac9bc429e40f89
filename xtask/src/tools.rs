//! The tools that the test command needs beside cargo. Root on Debian, as in a container or in CI, gets a missing one
//! installed; anybody else is told the command that does it.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::steps::run;

struct Tool {
    what: &'static str,
    /// Succeeds if and only if the tool is there.
    probe: &'static [&'static str],
    /// Debian packages that bring it.
    packages: &'static [&'static str],
    /// For a machine that is not Debian, or a tool that is not a package.
    install: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        what: "a C compiler (SQLite and the cryptography library are C)",
        probe: &["cc", "--version"],
        packages: &["gcc", "libc6-dev"],
        install: "sudo apt-get install gcc libc6-dev",
    },
    Tool {
        what: "Python 3 with venv and pip (for a Flask service and for Schemathesis, which the tests run)",
        probe: &["python3", "-c", "import venv, ensurepip"],
        packages: &["python3", "python3-venv"],
        install: "sudo apt-get install python3 python3-venv",
    },
    Tool {
        what: "libfaketime (for the test with stepped clocks)",
        probe: &["faketime", "--version"],
        packages: &["faketime"],
        install: "sudo apt-get install faketime",
    },
    Tool {
        what: "rustfmt",
        probe: &["cargo", "fmt", "--version"],
        packages: &[],
        install: "rustup component add rustfmt",
    },
    Tool {
        what: "clippy",
        probe: &["cargo", "clippy", "--version"],
        packages: &[],
        install: "rustup component add clippy",
    },
];

pub(crate) fn check() -> Result<()> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !is_there(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if is_root() && has_apt() {
        for tool in &missing {
            eprintln!("   missing, so it is installed: {}", tool.what);
        }
        return install(&missing);
    }
    let list: Vec<String> = missing.iter().map(|tool| format!("  {}\n      {}", tool.what, tool.install)).collect();
    bail!("missing, with the command that installs it:\n{}", list.join("\n"))
}

fn install(missing: &[&Tool]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    if !packages.is_empty() {
        run(Command::new("apt-get").args(["-qq", "update"]))?;
        run(Command::new("apt-get")
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    for tool in missing.iter().filter(|tool| tool.packages.is_empty()) {
        let mut words = tool.install.split(' ');
        if let Some(program) = words.next() {
            run(Command::new(program).args(words))?;
        }
    }
    match missing.iter().find(|tool| !is_there(tool)) {
        Some(tool) => bail!("still missing after the installation: {}", tool.what),
        None => Ok(()),
    }
}

fn has_apt() -> bool {
    succeeds("apt-get", &["--version"])
}

fn is_there(tool: &Tool) -> bool {
    tool.probe.split_first().is_some_and(|(program, arguments)| succeeds(program, arguments))
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
