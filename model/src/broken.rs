//! The rules that can be broken on purpose.
//!
//! They are compiled in only with `--cfg propusk_mutants`, which `cargo xtask model` and `cargo xtask test` see to.
//! Without it [`Mutant`] has no values, and what is modelled is the code as it ships.

#[cfg(propusk_mutants)]
pub use propusk_verify::mutants::{Mutant, set};

/// No rule can be broken in this build.
#[cfg(not(propusk_mutants))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutant {}

/// Breaks no rule.
#[cfg(not(propusk_mutants))]
pub fn set(mutant: Option<Mutant>) {
    if let Some(never) = mutant {
        match never {}
    }
}
