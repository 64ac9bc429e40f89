//! Runs models: every state that can be reached of one that keeps all rules, and of one that breaks a rule as many as
//! it takes to notice.

use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

/// The threads of one run.
const THREADS: usize = 2;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// Properties that do not hold, each with the steps that show it; none for what was never reached.
    pub failures: Vec<Failure>,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub property: &'static str,
    /// The steps that lead to it.
    pub steps: Vec<String>,
}

/// Goes through every state.
pub fn exhaust<M>(model: M) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq + fmt::Debug,
{
    let begun = Instant::now();
    let checker = model.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    report(&checker, begun, true)
}

/// Looks for the shortest way to a failure, and goes no further.
pub fn find_failure<M>(model: M) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq + fmt::Debug,
{
    let begun = Instant::now();
    let checker = model.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    report(&checker, begun, false)
}

fn report<M>(checker: &impl Checker<M>, begun: Instant, all_goals: bool) -> Report
where
    M: Model,
    M::State: Hash + Clone + PartialEq,
    M::Action: Clone + PartialEq + fmt::Debug,
{
    let mut discoveries = checker.discoveries();
    let mut failure = |property: Property<M>| match (property.expectation, discoveries.remove(property.name)) {
        (Expectation::Sometimes, None) if all_goals => Some(Failure { property: property.name, steps: Vec::new() }),
        (Expectation::Sometimes, _) | (_, None) => None,
        (_, Some(path)) => {
            let steps = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
            Some(Failure { property: property.name, steps })
        }
    };
    let failures = checker.model().properties().into_iter().filter_map(&mut failure).collect();
    Report { states: checker.unique_state_count(), took: begun.elapsed(), failures }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states in {:.1} s", self.states, self.took.as_secs_f64())?;
        for failure in &self.failures {
            match failure.steps.len() {
                0 => write!(f, "\n  never reached: {}", failure.property)?,
                _ => write!(f, "\n  does not hold: {}", failure.property)?,
            }
            for step in &failure.steps {
                write!(f, "\n    {step}")?;
            }
        }
        Ok(())
    }
}
