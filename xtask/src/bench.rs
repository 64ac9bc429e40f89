//! Benchmarks: the crate `bench`, built as it is shipped, with whatever it is told.

use anyhow::Result;

use crate::steps::{cargo, run};

/// The package that measures.
const BENCH: &str = "bench";

/// `cargo xtask bench NAME …`.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    run(cargo(["run", "--quiet", "--release", "--package", BENCH, "--bin", BENCH, "--"]).args(arguments))
}
