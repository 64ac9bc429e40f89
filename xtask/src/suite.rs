//! The order of the test command: what is cheap and fails often comes first.
//!
//! Everything is built in one target directory with the dev profile, so that no dependency is compiled twice.

use anyhow::Result;

use crate::steps::{Steps, cargo, locked_cargo, root, run};
use crate::{generated, house, tools, tree};

/// `cargo xtask test`.
pub(crate) fn test() -> Result<()> {
    let mut steps = Steps::new();
    cheap(&mut steps)?;
    steps.run("unit and integration tests", || {
        run(&mut locked_cargo(
            "test",
            &["--workspace", "--exclude", "e2e", "--exclude", "model", "--lib", "--bins", "--tests"],
        ))
    })?;
    steps.run("documentation tests", || run(&mut locked_cargo("test", &["--workspace", "--doc"])))?;
    steps.run("models of the feed, bounded", || run(&mut locked_cargo("test", &["-p", "model"])))?;
    steps.run("build the product", || run(&mut locked_cargo("build", &["-p", "propusk"])))?;
    steps.run("generated files are up to date", generated::check)?;
    // One after the other: each file of tests starts systems of its own, and two of them measure time.
    steps.run("end to end, with real processes", || {
        run(locked_cargo("test", &["-p", "e2e", "--no-fail-fast"]).env("PROPUSK_BIN", product()))
    })?;
    steps.finish();
    Ok(())
}

/// `cargo xtask check`.
pub(crate) fn check() -> Result<()> {
    let mut steps = Steps::new();
    cheap(&mut steps)?;
    steps.finish();
    Ok(())
}

/// `cargo xtask model`: the model crate's own binary, whatever it is told.
pub(crate) fn model(arguments: &[&str]) -> Result<()> {
    run(cargo(["run", "-p", "model", "--"]).args(arguments))
}

fn cheap(steps: &mut Steps) -> Result<()> {
    steps.run("tools", tools::check)?;
    steps.run("formatting", || run(&mut cargo(["fmt", "--all", "--check"])))?;
    steps.run("arrows between crates", house::check)?;
    steps.run("budgets and bans of dependencies", tree::check)?;
    steps.run("lints", || run(&mut locked_cargo("clippy", &["--workspace", "--all-targets", "--", "-D", "warnings"])))
}

/// Where `cargo build -p propusk` puts it.
fn product() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    target.join("debug").join("propusk")
}
