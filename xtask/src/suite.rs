//! The order of the test command: what is cheap and fails often comes first.
//!
//! Everything is built with the dev profile in one target directory, and every step selects from the *whole* workspace,
//! by target rather than by package. With another selection of packages cargo would resolve other features and compile
//! half of the dependencies once more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::{Steps, cargo, locked_cargo, output, run, target};
use crate::{fuzz, generated, house, hygiene, model, tools, tree};

/// The target that holds all end-to-end tests.
const E2E: &str = "e2e";

/// `cargo xtask test`.
pub(crate) fn test() -> Result<()> {
    let mut steps = Steps::new();
    cheap(&mut steps)?;
    // `--workspace` gives the product more features than it asks for; this is how its users build it.
    steps.run("the product by itself", || run(&mut locked_cargo("check", &["-p", "propusk"])))?;
    steps.run("the verifier without features", || {
        run(&mut locked_cargo("check", &["-p", "propusk-verify", "--no-default-features"]))
    })?;
    steps.run("build", || run(&mut locked_cargo("build", &["--workspace", "--bins", "--tests"])))?;
    steps.run("generated files are up to date", || generated::check(&product()))?;
    let unit = unit_targets()?;
    steps.run("unit and integration tests", || {
        let mut command = locked_cargo("test", &["--workspace", "--lib", "--bins"]);
        run(command.args(unit.iter().flat_map(|name| ["--test", name])))
    })?;
    steps.run("documentation tests", || run(&mut locked_cargo("test", &["--workspace", "--doc"])))?;
    steps.run("fuzz targets, ten seconds each", || fuzz::for_seconds(10))?;
    steps.run("the order of loads and stores on the hot path", model::loom)?;
    steps.run("models of the feed, bounded, and every rule broken once", model::bounded)?;
    steps.run("end to end, with real processes", || end_to_end(&[]))?;
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

/// `cargo xtask e2e`: the end-to-end tests alone, or those whose names contain one of the words.
pub(crate) fn e2e(filters: &[&str]) -> Result<()> {
    run(&mut locked_cargo("build", &["--workspace", "--bins", "--tests"]))?;
    end_to_end(filters)
}

fn cheap(steps: &mut Steps) -> Result<()> {
    steps.run("tools", tools::check)?;
    Steps::all([
        steps.run("formatting", || run(&mut cargo(["fmt", "--all", "--check"]))),
        steps.run("arrows between crates", house::check),
        steps.run("budgets and bans of dependencies", tree::check),
        steps.run("hygiene", hygiene::check),
        steps.run("lints", || {
            run(&mut locked_cargo("clippy", &["--workspace", "--all-targets", "--", "-D", "warnings"]))
        }),
    ])
}

fn end_to_end(filters: &[&str]) -> Result<()> {
    let mut command = locked_cargo("test", &["--workspace", "--test", E2E, "--"]);
    run(command.args(filters).env("PROPUSK_BIN", product()))
}

/// The names of all files of integration tests that have no step of their own.
fn unit_targets() -> Result<BTreeSet<String>> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    let mut names = BTreeSet::new();
    for package in packages.iter().filter(|package| package.get("name").is_none_or(|name| name != model::PACKAGE)) {
        for target in package.get("targets").and_then(Value::as_array).context("no targets")? {
            let kinds = target.get("kind").and_then(Value::as_array).context("no kind")?;
            let name = target.get("name").and_then(Value::as_str).context("no name")?;
            if kinds.iter().any(|kind| kind == "test") && name != E2E {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// Where `cargo build` puts it.
fn product() -> PathBuf {
    target().join("debug").join("propusk")
}
