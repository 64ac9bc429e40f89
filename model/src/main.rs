//! The full run: larger worlds than the test command has time for, and every broken rule with the steps that show it.
//! To be started by `cargo xtask model`, which compiles the rules in so that they can be broken.

use std::process::ExitCode;

use model::check::{Report, exhaust};
use model::{calls, simulation, world};

/// Runs of the simulation.
const RUNS: u64 = 20_000;

#[expect(clippy::print_stdout, reason = "a tool for developers")]
fn main() -> ExitCode {
    let mut failed = false;
    let mut tell = |name: &str, report: &Report, has_failed: bool| {
        println!("{} {name}: {report}", if has_failed { "✗" } else { "✓" });
        failed |= has_failed;
    };
    broken_rules(&mut tell);
    for config in calls::Config::full() {
        let name = format!("calls {:?}", config.kinds);
        let report = exhaust(config);
        tell(&name, &report, !report.failures.is_empty());
    }
    for config in world::Config::full() {
        let name = config.name;
        let report = exhaust(config);
        tell(name, &report, !report.failures.is_empty());
    }
    match simulation::run_all(RUNS) {
        Ok(told) => println!("✓ simulation: {told}"),
        Err(failure) => {
            println!("✗ simulation: {failure}");
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(propusk_mutants)]
fn broken_rules(tell: &mut impl FnMut(&str, &Report, bool)) {
    for mutant in model::broken::Mutant::ALL {
        let report = model::rules::break_rule(*mutant);
        tell(&format!("without the rule {mutant:?}"), &report, report.failures.is_empty());
    }
}

#[cfg(not(propusk_mutants))]
#[expect(clippy::print_stdout, reason = "a tool for developers")]
fn broken_rules(_: &mut impl FnMut(&str, &Report, bool)) {
    println!("– no rule can be broken in this build: start it by `cargo xtask model`");
}
