//! Measures what we promise: real processes, real connections on loopback, and beside each number the bare figure that
//! it cannot beat, taken in the same run.
//!
//! `cargo xtask bench NAME` builds and runs this with optimisation. Each benchmark is a module and a subcommand; all
//! print one table and write the same as JSON where they are told to.

mod authority;
mod child;
mod data;
mod feed;
mod process;
mod report;
mod stats;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The same allocator as the product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures what Propusk promises.")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Tokens, refreshes, introspection and sign-ins of one core, with few people and with a million.
    Authority(authority::Arguments),
    /// Enforced revocation, lag under load, online checks, idle verifiers, snapshots.
    Feed(feed::Arguments),
    /// One decision of the verifier beside the least that it could cost.
    Verify(verify::Arguments),
    /// Serves as the authority of a benchmark until standard input ends.
    #[command(hide = true)]
    ServeAuthority,
    /// Sends back what it gets until standard input ends.
    #[command(hide = true)]
    ServeEcho,
}

fn main() -> ExitCode {
    match run(Arguments::parse().benchmark) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::say(&format!("✗ {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether every number was reached.
fn run(benchmark: Benchmark) -> Result<bool> {
    match benchmark {
        Benchmark::Authority(arguments) => authority::run(&arguments),
        Benchmark::Feed(arguments) => feed::run(&arguments),
        Benchmark::Verify(arguments) => verify::run(&arguments),
        Benchmark::ServeAuthority => child::authority::serve().map(|()| true),
        Benchmark::ServeEcho => child::echo::serve().map(|()| true),
    }
}
