//! Models and a simulation of the feed, over the very state machines that ship.
#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "for development only: a model that goes wrong has to stop"
)]

pub mod broken;
pub mod calls;
pub mod check;
#[cfg(propusk_mutants)]
pub mod rules;
mod shared;
pub mod simulation;
mod view;
pub mod world;
