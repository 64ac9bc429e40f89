//! Benchmarks: the crate `bench`, built as it is shipped, with whatever it is told.

use anyhow::Result;

use crate::steps::{cargo, run};

/// The package that measures.
const BENCH: &str = "bench";

/// The product, which some of them start.
const PRODUCT: &str = "propusk";

/// `cargo xtask bench NAME …`.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    if arguments.first() == Some(&"authority") {
        run(&mut cargo(["build", "--quiet", "--release", "--package", PRODUCT]))?;
    }
    run(cargo(["run", "--quiet", "--release", "--package", BENCH, "--bin", BENCH, "--"]).args(arguments))
}
