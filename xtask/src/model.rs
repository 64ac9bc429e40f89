//! The models of the feed and loom's tests: both compile our crates with a `--cfg` that nothing else is compiled with.

use std::process::Command;

use anyhow::Result;

use crate::steps::{cargo, locked_cargo, run};
use crate::wrapper::with_cfg;

/// The package of the models.
pub(crate) const PACKAGE: &str = "model";
/// What compiles the switches in by which the models break one rule at a time.
const MUTANTS: &str = "propusk_mutants";
/// What puts loom's primitives in the place of the standard library's.
const LOOM: &str = "loom";
/// The modules of the tests that loom runs.
const LOOM_TESTS: &str = "loom_tests";
/// Millions of states need optimized code. Only these three are compiled once more for it, and no other build sees them.
const OPTIMIZED: [&str; 3] = ["model", "propusk-core", "propusk-verify"];

/// Small models, every rule broken once, some thousand runs of the simulation: a minute or two.
pub(crate) fn bounded() -> Result<()> {
    run(with_cfg(optimized(locked_cargo("test", &[])), MUTANTS)?.args(["-p", PACKAGE, "--tests"]))
}

/// Larger models and more runs; shows the steps of each broken rule.
pub(crate) fn full(arguments: &[&str]) -> Result<()> {
    let mut command = with_cfg(optimized(cargo(["run"])), MUTANTS)?;
    run(command.args(["-p", PACKAGE, "--"]).args(arguments))
}

/// Every order of loads and stores on the hot path.
pub(crate) fn loom() -> Result<()> {
    run(&mut with_cfg(locked_cargo("test", &["-p", "propusk-verify", "--lib", LOOM_TESTS]), LOOM)?)
}

fn optimized(mut command: Command) -> Command {
    for package in OPTIMIZED {
        command.args(["--config", &format!("profile.dev.package.{package}.opt-level=3")]);
    }
    command
}
