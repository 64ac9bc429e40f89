//! What a service needs to decide on a Propusk token.
//!
//! A [`Verifier`] is told once whose tokens it takes and for whom they have to be. Each request then meets one of three
//! classes of endpoint:
//!
//! * **public**: nobody is asked for anything;
//! * **ordinary**: decided from the token and from what is in memory, whose age is known and bounded;
//! * **elite**: decided on the current status and roles, while a lease runs from memory too, else by asking.
//!
//! The heart is without IO: [`token`] checks a token against a key ring, [`feed`] holds the state that revocations
//! arrive in, and decides. What moves messages is behind features: `axum` (a tower layer, typed extractors, the
//! operations routes), `http` (key sets and token exchange), `grpc` (the authority's feed and online checks).

pub mod cache;
pub mod check;
pub mod clock;
pub mod decision;
pub mod feed;
pub mod forwarded;
#[cfg(test)]
#[cfg(not(loom))]
mod fuzz;
pub mod jose;
mod known;
#[cfg(propusk_mutants)]
pub mod mutants;
mod permission;
pub mod problem;
mod reason;
mod secret;
mod sync;
#[cfg(any(feature = "axum", feature = "http"))]
pub mod tls;
pub mod token;
mod verdict;
pub mod verifier;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "http")]
pub mod exchange;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http_client;

pub use decision::{Demand, Permit, Refusal};
pub use permission::permits;
pub use reason::{Claim, Reason};
pub use secret::RawToken;
pub use verdict::Verdict;
pub use verifier::{KeySource, Verifier};

/// Whether a rule of the protocol is broken on purpose, to show that the model notices. Never in a shipped build:
/// without `--cfg propusk_mutants` it is the constant `false`.
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {{
        #[cfg(propusk_mutants)]
        let is_on = $crate::mutants::is_on($crate::mutants::Mutant::$name);
        #[cfg(not(propusk_mutants))]
        let is_on = {
            #[expect(non_upper_case_globals, reason = "named as the rule")]
            const $name: bool = false;
            $name
        };
        is_on
    }};
}
