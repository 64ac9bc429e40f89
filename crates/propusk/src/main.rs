//! The one binary: authority, gateway, demo services and command line.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | every setting: one registry, read from file, environment and flags |
//! | [`serve`], [`up`] | one part, or the whole system |
//! | [`demo`] | the narrated tour |
//! | [`api`], [`token`] | commands for operators |
//! | [`recovery`], [`doctor`] | restoring a backup, and finding what is wrong |

mod api;
mod cli;
mod completions;
mod config;
mod config_command;
mod data;
mod demo;
mod doctor;
mod exit;
mod log;
mod memory;
mod output;
mod ports;
mod private;
mod recovery;
mod run_file;
mod secret;
mod serve;
mod tls;
mod token;
mod up;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use cli::{Cli, Command, FeedCommand};
use exit::{Exit, Failure, Outcome};

fn main() -> ExitCode {
    memory::give_back_soon();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let is_json = cli.command.is_json();
    let outcome = run(cli.command);
    log::flush();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report(is_json);
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Outcome {
    // There is one provider in the tree; without this, rustls would have to find it at the first connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command {
        Command::Up(args) => on_all_cores(up::run(args)),
        Command::Serve(args) => on_all_cores(serve::run(args)),
        Command::Demo(args) => on_one_core(demo::run(args)),
        Command::Config(command) => config_command::run(command),
        Command::Login(args) => on_one_core(api::login::run(args)),
        Command::Logout(args) => on_one_core(api::login::log_out(args)),
        Command::Keys(command) => on_one_core(api::keys::run(command)),
        Command::User(command) => on_one_core(api::users::run(command)),
        Command::Group(command) => on_one_core(api::groups::run(command)),
        Command::Role(command) => on_one_core(api::roles::run(command)),
        Command::Service(command) => on_one_core(api::services::run(command)),
        Command::Client(command) => on_one_core(api::clients::run(command)),
        Command::ExchangeRule(command) => on_one_core(api::exchange_rules::run(command)),
        Command::Session(command) => on_one_core(api::sessions::run(command)),
        Command::Token(command) => on_one_core(token::run(command)),
        Command::Audit(command) => on_one_core(api::audit::run(command)),
        Command::Verifier(command) => on_one_core(api::verifiers::run(command)),
        Command::Import(args) => on_one_core(api::transfer::import::run(args)),
        Command::Export(args) => on_one_core(api::transfer::export::run(args)),
        Command::Backup(args) => on_one_core(api::backup::run(args)),
        Command::Restore(args) => on_one_core(recovery::restore(args)),
        Command::Feed(FeedCommand::Restore(args)) => on_one_core(recovery::feed_restore(args)),
        Command::Doctor(args) => on_one_core(doctor::run(args)),
        Command::Completions(args) => completions::run(&args),
    }
}

/// For servers.
fn on_all_cores(work: impl Future<Output = Outcome>) -> Outcome {
    // Databases and keys are their owner's alone, in whatever folder they are.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(work);
    // What was cut off at the end must not hold the process up.
    runtime.shutdown_background();
    outcome
}

/// For commands that wait for somebody else.
fn on_one_core(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(work)
}

/// Help and version are no errors; the rest is, in JSON for those who asked for it.
fn usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        Failure::usage(error.to_string().trim()).report(true);
        return Exit::Usage.into();
    }
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
