//! The order of the test command: what is cheap and fails often comes first.
//!
//! Everything is built with the dev profile in one target directory, and every step selects from the *whole* workspace,
//! by target rather than by package. With another selection of packages cargo would resolve other features and compile
//! half of the dependencies once more.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::{Steps, cargo, locked_cargo, output, root, run};
use crate::{generated, house, hygiene, tools, tree};

/// The target that holds all end-to-end tests.
const E2E: &str = "e2e";
/// The package of the models of the feed.
const MODEL: &str = "model";

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
    let (unit, models) = targets()?;
    steps.run("unit and integration tests", || {
        let mut command = locked_cargo("test", &["--workspace", "--lib", "--bins"]);
        run(command.args(unit.iter().flat_map(|name| ["--test", name])))
    })?;
    steps.run("documentation tests", || run(&mut locked_cargo("test", &["--workspace", "--doc"])))?;
    if !models.is_empty() {
        steps.run("models of the feed, bounded", || {
            let mut command = locked_cargo("test", &["--workspace"]);
            run(command.args(models.iter().flat_map(|name| ["--test", name])))
        })?;
    }
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

/// `cargo xtask model`: the model crate's own binary, whatever it is told.
pub(crate) fn model(arguments: &[&str]) -> Result<()> {
    run(cargo(["run", "-p", MODEL, "--"]).args(arguments))
}

fn cheap(steps: &mut Steps) -> Result<()> {
    steps.run("tools", tools::check)?;
    steps.run("formatting", || run(&mut cargo(["fmt", "--all", "--check"])))?;
    steps.run("arrows between crates", house::check)?;
    steps.run("budgets and bans of dependencies", tree::check)?;
    steps.run("hygiene", hygiene::check)?;
    steps.run("lints", || run(&mut locked_cargo("clippy", &["--workspace", "--all-targets", "--", "-D", "warnings"])))
}

fn end_to_end(filters: &[&str]) -> Result<()> {
    let mut command = locked_cargo("test", &["--workspace", "--test", E2E, "--"]);
    run(command.args(filters).env("PROPUSK_BIN", product()))
}

/// The names of all files of integration tests but the end-to-end ones, and those of the models by themselves.
fn targets() -> Result<(Vec<String>, Vec<String>)> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let (mut unit, mut models) = (Vec::new(), Vec::new());
    for package in metadata.get("packages").and_then(Value::as_array).context("no packages")? {
        let is_model = package.get("name").and_then(Value::as_str) == Some(MODEL);
        for target in package.get("targets").and_then(Value::as_array).context("no targets")? {
            let kinds = target.get("kind").and_then(Value::as_array).context("no kind")?;
            let name = target.get("name").and_then(Value::as_str).context("no name")?;
            if kinds.iter().any(|kind| kind == "test") && name != E2E {
                if is_model { &mut models } else { &mut unit }.push(name.to_owned());
            }
        }
    }
    Ok((unit, models))
}

/// Where `cargo build` puts it.
fn product() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    target.join("debug").join("propusk")
}
