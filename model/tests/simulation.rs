//! Thousands of random runs. `PROPUSK_SIMULATION_SEED` repeats one, `PROPUSK_SIMULATION_RUNS` sets how many.

use model::simulation;

/// Few where nothing is optimized.
const RUNS: u64 = if cfg!(propusk_mutants) { 2_000 } else { 20 };

#[test]
fn no_run_breaks_the_guarantee() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let outcome = match number("PROPUSK_SIMULATION_SEED") {
        Some(seed) => simulation::run(seed).map(|told| told.to_string()),
        None => simulation::run_all(number("PROPUSK_SIMULATION_RUNS").unwrap_or(RUNS)),
    };
    match outcome {
        Ok(told) => println!("{told}"),
        Err(failure) => panic!("{failure}\nagain: PROPUSK_SIMULATION_SEED={}", failure.seed),
    }
}

/// A simulation that notices nothing shows nothing.
#[cfg(propusk_mutants)]
#[test]
fn broken_rules_are_noticed_here_too() {
    use model::broken::{Mutant, set};
    let broken = [
        Mutant::LeaseFromReceipt,
        Mutant::UsedBeforeHead,
        Mutant::ForgottenAtStart,
        Mutant::ForgottenAtDisconnect,
        Mutant::GrantAfterRelease,
        Mutant::GapTaken,
        Mutant::AckBeforePublish,
        Mutant::ClockBeforeIndex,
        Mutant::GenerationNever,
    ];
    for mutant in broken {
        set(Some(mutant));
        let outcome = simulation::run_all(2_000);
        set(None);
        assert!(outcome.is_err(), "without the rule {mutant:?}");
    }
}
