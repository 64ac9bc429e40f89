//! The fuzz targets of the verifier. They are tests of its library, so there is nothing to install.

use anyhow::{Context, Result};

use crate::steps::{locked_cargo, run};

/// `cargo xtask fuzz`: so many seconds for each target, a minute if nothing is said.
pub(crate) fn fuzz(arguments: &[&str]) -> Result<()> {
    let seconds = match arguments {
        [] => 60,
        [seconds] => seconds.parse().with_context(|| format!("not a number of seconds: {seconds}"))?,
        _ => anyhow::bail!("`fuzz` takes one number: seconds for each target"),
    };
    for_seconds(seconds)
}

/// Every target for so long. What fails is kept under `target/fuzz/`.
pub(crate) fn for_seconds(seconds: u64) -> Result<()> {
    let mut command = locked_cargo("test", &["--workspace", "--lib", "--", "fuzz::", "--nocapture"]);
    run(command.env("PROPUSK_FUZZ_SECONDS", seconds.to_string()))
}
