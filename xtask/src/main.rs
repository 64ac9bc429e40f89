//! The project's own tasks. `cargo xtask` lists them; `cargo xtask test` is the test command that README and CI use.
//!
//! A task only starts ordinary tools (cargo, git-free) and prints what it does, so that each step can be repeated by
//! hand. Nothing is installed on a developer's machine; see [`tools`].

mod bench;
mod fuzz;
mod generated;
mod house;
mod hygiene;
mod model;
mod passwords;
mod steps;
mod suite;
mod tools;
mod tree;
mod wrapper;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>

  test      every check and test: what CI runs (about 20 minutes cold on two cores, about 5 warm)
  check     the cheap half of it: formatting, arrows between crates, budgets and bans of dependencies, hygiene, lints
  e2e       the end-to-end tests alone; words after it choose those whose names contain one
  model     the full run of the models of the feed (longer than the bounded run inside `test`)
  bench     measure what is promised, in a release build: `bench feed`; `bench help` lists what there is
  fuzz      inputs that nobody would write, for a minute each target or for as many seconds as are named
  example   write propusk.example.toml anew from the registry of configuration keys
  passwords write the built-in list of common passwords anew, from the version of zxcvbn that Cargo.lock names
";

fn main() -> ExitCode {
    if let Some(code) = wrapper::run_if_called_as_one() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => suite::test(),
        ["check"] => suite::check(),
        ["e2e", filters @ ..] => suite::e2e(filters),
        ["model", rest @ ..] => model::full(rest),
        ["bench", rest @ ..] => bench::bench(rest),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["example"] => generated::write_example(),
        ["passwords"] => passwords::write(),
        [] | ["help" | "--help" | "-h"] => {
            eprint!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("unknown task: {}\n\n{USAGE}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}
