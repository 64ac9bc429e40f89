//! The bounded run: every state of small worlds, and every broken rule.
//!
//! `cargo xtask test` builds this with the switches that break rules. A plain `cargo test` has neither the switches nor
//! the optimization that millions of states need, and says so.

#[cfg(propusk_mutants)]
mod bounded {
    use model::broken::Mutant;
    use model::check::exhaust;
    use model::rules::break_rule;
    use model::{calls, world};

    /// One after the other: each of them uses every core.
    #[test]
    fn all_rules_hold_together_and_none_can_be_left_out() {
        for mutant in Mutant::ALL {
            let report = break_rule(*mutant);
            println!("without {mutant:?}: {report}");
            assert!(!report.failures.is_empty(), "nothing goes wrong without the rule {mutant:?}");
        }
        for config in calls::Config::bounded() {
            let name = format!("calls {:?}", config.kinds);
            let report = exhaust(config);
            println!("{name}: {report}");
            assert!(report.failures.is_empty(), "{name}: {report}");
        }
        for config in world::Config::bounded() {
            let name = config.name;
            let report = exhaust(config);
            println!("{name}: {report}");
            assert!(report.failures.is_empty(), "{name}: {report}");
        }
    }
}

#[cfg(not(propusk_mutants))]
#[test]
fn the_models_run_by_xtask() {
    // Not nothing: the smallest of the worlds, by the code as it ships.
    let report = model::check::exhaust(model::calls::Config::any());
    assert!(report.failures.is_empty(), "{report}");
    println!("the models run by `cargo xtask test`, the full run is `cargo xtask model`");
}
