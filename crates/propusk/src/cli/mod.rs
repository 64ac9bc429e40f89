//! The command line, a file for each area.
//!
//! **To add a command**: a file here with its arguments, a variant of [`Command`] and its line in [`Command::is_json`], and
//! what runs it in `main.rs`.

mod audit;
mod backup;
mod client;
mod common;
mod completions;
mod exchange_rule;
mod group;
mod keys;
mod login;
mod role;
mod service;
mod session;
mod system;
mod token;
mod transfer;
mod user;
mod verifier;

use clap::{Parser, Subcommand};

pub(crate) use audit::AuditCommand;
pub(crate) use backup::{BackupArgs, DataArgs, FeedCommand, RestoreArgs};
pub(crate) use client::{ClientChangeArgs, ClientCommand, NewClientArgs, NewSecretArgs};
pub(crate) use common::{ApiArgs, At, ConfigArgs, LimitArgs, OnceArgs, SeenArgs, SureArgs, WaitArgs, WaitFor};
pub(crate) use completions::CompletionsArgs;
pub(crate) use exchange_rule::ExchangeRuleCommand;
pub(crate) use group::GroupCommand;
pub(crate) use keys::KeysCommand;
pub(crate) use login::{LoginArgs, LogoutArgs};
pub(crate) use role::{HolderArg, RoleArg, RoleCommand};
pub(crate) use service::ServiceCommand;
pub(crate) use session::SessionCommand;
pub(crate) use system::{ConfigCommand, DemoArgs, ServeArgs, UpArgs};
pub(crate) use token::{InspectArgs, RevokeTokenArgs, TokenCommand};
pub(crate) use transfer::{ExportArgs, Format, ImportArgs};
pub(crate) use user::UserCommand;
pub(crate) use verifier::VerifierCommand;

/// One answer to who is calling, and may they.
///
/// `propusk up` runs the whole system on this machine; `propusk demo --ephemeral` shows what it does.
#[derive(Debug, Parser)]
#[command(name = "propusk", version, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done, 1 failed, 2 usage or configuration, 3 committed but not enforced within the limit, \
4 not signed in or not allowed, 5 authority not reachable.";

/// What it can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine: authority, gateway and three demo services.
    Up(UpArgs),
    /// Run one part.
    Serve(ServeArgs),
    /// A narrated tour of a running system: each step with its real answer.
    Demo(DemoArgs),
    /// Check the configuration, or print an example of it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Sign in to an authority for the commands below.
    Login(LoginArgs),
    /// End that session, and forget it here.
    Logout(LogoutArgs),
    /// Signing keys.
    Keys(At<KeysCommand>),
    /// People.
    User(At<UserCommand>),
    /// Groups of people.
    Group(At<GroupCommand>),
    /// Roles, what they permit, and who has them.
    Role(At<RoleCommand>),
    /// Services: what tokens are for.
    Service(At<ServiceCommand>),
    /// Clients: programs that get tokens.
    Client(At<ClientCommand>),
    /// Who may exchange which tokens.
    ExchangeRule(At<ExchangeRuleCommand>),
    /// Sessions of people.
    Session(At<SessionCommand>),
    /// Tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// What was done, by whom.
    Audit(At<AuditCommand>),
    /// Those who decide on tokens from memory.
    Verifier(At<VerifierCommand>),
    /// Take people over from elsewhere, with the hashes of their passwords.
    Import(ImportArgs),
    /// Write down everybody, with the hashes of their passwords.
    Export(ExportArgs),
    /// Copy the authority's database while it is in use.
    Backup(BackupArgs),
    /// Put a backup in place of the database, and honour nothing that was handed out before.
    Restore(RestoreArgs),
    /// The log of revocations.
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Find what is wrong with configuration, files, clock, keys and database, and say how to mend it.
    Doctor(DataArgs),
    /// Completion for a shell, on standard output.
    Completions(CompletionsArgs),
}

impl Command {
    /// Whether output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Up(args) => args.json,
            Self::Serve(_) | Self::Demo(_) | Self::Config(_) | Self::Completions(_) => false,
            Self::Token(TokenCommand::Inspect(_)) => false,
            Self::Token(TokenCommand::Revoke(args)) => args.api.json,
            Self::Login(args) => args.api.json,
            Self::Logout(args) => args.api.json,
            Self::Keys(at) => at.api.json,
            Self::User(at) => at.api.json,
            Self::Group(at) => at.api.json,
            Self::Service(at) => at.api.json,
            Self::Client(at) => at.api.json,
            Self::ExchangeRule(at) => at.api.json,
            Self::Audit(at) => at.api.json,
            Self::Role(at) => at.api.json,
            Self::Session(at) => at.api.json,
            Self::Verifier(at) => at.api.json,
            Self::Import(args) => args.api.json,
            Self::Export(args) => args.api.json,
            Self::Backup(args) => args.api.json,
            Self::Restore(args) => args.place.json,
            Self::Feed(FeedCommand::Restore(args)) | Self::Doctor(args) => args.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// A password or token in a command line is visible to everybody on the machine.
    #[test]
    fn no_flag_takes_a_secret() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let is_secret = argument.get_action().takes_values()
                    && ["password", "secret"].iter().any(|word| name.contains(word));
                assert!(!is_secret || name.ends_with("_file"), "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
