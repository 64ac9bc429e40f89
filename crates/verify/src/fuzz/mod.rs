//! Everything that reads what others wrote, against inputs that nobody would write.
//!
//! Each target is a test: it runs for `PROPUSK_FUZZ_SECONDS` (2 by default), and `cargo xtask fuzz` runs them longer. An
//! input that fails is kept under `target/fuzz/`; put it into `crates/verify/fuzz/` beside the others of its target and
//! it is tried first, by everybody, for ever.
//!
//! The engine is our own and small. Fuzzers that watch which branches run need a nightly compiler or a tool of their
//! own, and what is left of them on stable (bolero's random engine, which neither mutates a corpus nor sees where an
//! input leads) is less than this: here a target says what became of an input, and whatever led somewhere new is kept
//! and mutated further.

mod engine;
mod json;
mod keys;
mod make;
mod tokens;
#[cfg(feature = "grpc")]
mod wire;
