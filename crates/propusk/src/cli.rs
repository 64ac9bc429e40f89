//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::serve::{Part, Service};

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
    /// Signing keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// People.
    #[command(subcommand)]
    User(UserCommand),
    /// Roles, and who has them.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Sessions of people.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Those who decide on tokens from memory.
    #[command(subcommand)]
    Verifier(VerifierCommand),
}

impl Command {
    /// Whether output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Up(args) => args.json,
            Self::Serve(_) | Self::Demo(_) | Self::Config(_) | Self::Token(_) => false,
            Self::Login(args) => args.api.json,
            Self::Keys(
                KeysCommand::List { api, .. } | KeysCommand::Rotate { api, .. } | KeysCommand::Revoke { api, .. },
            )
            | Self::User(
                UserCommand::List { api, .. }
                | UserCommand::Show { api, .. }
                | UserCommand::Create { api, .. }
                | UserCommand::Disable { api, .. }
                | UserCommand::Enable { api, .. },
            )
            | Self::Role(
                RoleCommand::List { api, .. } | RoleCommand::Give { api, .. } | RoleCommand::Take { api, .. },
            )
            | Self::Session(SessionCommand::List { api, .. } | SessionCommand::End { api, .. })
            | Self::Verifier(VerifierCommand::List { api, .. }) => api.json,
        }
    }
}

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A TOML file; `propusk config example` shows what may be in it.
    #[arg(long, value_name = "FILE", env = "PROPUSK_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over file and environment. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `propusk up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where data and keys are kept. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Temporary data, gone at the end, and free ports for every listener.
    #[arg(long, conflicts_with = "data")]
    pub(crate) ephemeral: bool,
    /// Print one line of JSON when everything is ready.
    #[arg(long)]
    pub(crate) json: bool,
    /// Each part a process of its own. One that is killed is not restarted.
    #[arg(long)]
    pub(crate) split: bool,
    /// End when this process, our parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) child_of: Option<i32>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `propusk serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    pub(crate) part: ServePart,
}

/// What can be served.
#[derive(Debug, Subcommand)]
pub(crate) enum ServePart {
    /// The authority. It needs `issuer`, `database.path` and a key-encryption key (`kek.file` or PROPUSK_KEK).
    Authority(PartArgs),
    /// The gateway.
    Gateway(PartArgs),
    /// A demo service.
    Demo {
        /// Which.
        service: Service,
        #[command(flatten)]
        args: PartArgs,
    },
}

impl ServePart {
    /// The part and its arguments.
    pub(crate) fn into_parts(self) -> (Part, PartArgs) {
        match self {
            Self::Authority(args) => (Part::Authority, args),
            Self::Gateway(args) => (Part::Gateway, args),
            Self::Demo { service, args } => (Part::Demo(service), args),
        }
    }
}

/// Of any part.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// End when this process, our parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) child_of: Option<i32>,
}

/// `propusk demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The data directory of the running `up`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Start a system of its own, split into processes, and end it afterwards.
    #[arg(long, conflicts_with = "data")]
    pub(crate) ephemeral: bool,
    /// A file with the password of `admin`, mode 0600; without it, steps that change roles are skipped.
    #[arg(long, value_name = "FILE", conflicts_with = "ephemeral")]
    pub(crate) admin_password_file: Option<PathBuf>,
}

/// `propusk config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell everything that is wrong with a configuration.
    Check {
        /// The file; without it, the one of --config or PROPUSK_CONFIG.
        file: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print a file with every setting, its meaning and its default.
    Example,
}

/// Which authority, and how to print.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// Base URL of the authority; without it, that of the running `up`.
    #[arg(long, value_name = "URL", env = "PROPUSK_AUTHORITY")]
    pub(crate) authority: Option<String>,
    /// The data directory of the running `up`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The only certificates to trust there, PEM; without it, what the running `up` has, or this machine.
    #[arg(long, value_name = "FILE", env = "PROPUSK_TLS__CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Send credentials over plain HTTP to another machine.
    #[arg(long)]
    pub(crate) insecure_http: bool,
}

/// How long a change waits.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArgs {
    /// Return when the change is committed, or when every verifier enforces it.
    #[arg(long, value_enum, default_value_t = WaitFor::Enforced)]
    pub(crate) wait: WaitFor,
    /// How long to wait for that, in milliseconds; the authority has a default.
    #[arg(long, value_name = "MS")]
    pub(crate) wait_ms: Option<u64>,
}

/// What a change waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    /// No verifier decides against it any more.
    Enforced,
    /// It is stored.
    Committed,
}

/// `propusk login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Who signs in.
    #[arg(long, default_value = "admin")]
    pub(crate) username: String,
    /// A file with the password, mode 0600; without it, it is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// `propusk keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// The keys of a service, and who has yet to confirm the next one.
    List {
        /// The service.
        audience: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Let the next key of a service sign, as soon as every verifier has it.
    Rotate {
        /// The service.
        audience: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Take a key back at once: every token that it signed is to be refreshed.
    Revoke {
        /// The key's id.
        kid: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// `propusk user`.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Everybody, or one by name.
    List {
        /// Only this one.
        #[arg(long)]
        username: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// One person and their roles.
    Show {
        /// Id or name.
        user: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// A new person.
    Create {
        /// The name to sign in with.
        username: String,
        /// A file with the password, mode 0600; without it, it is asked for.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// E-mail address.
        #[arg(long)]
        email: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// End all sessions and tokens, and let nobody sign in.
    Disable {
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Let a disabled person sign in again.
    Enable {
        /// Id or name.
        user: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// `propusk role`.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// The roles of a service and what they permit.
    List {
        /// The service.
        service: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Give a role.
    Give {
        /// Id or name.
        user: String,
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Take a role away.
    Take {
        /// Id or name.
        user: String,
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// `propusk session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// The sessions of a person.
    List {
        /// Id or name.
        user: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// End a session, or all of a person's.
    End {
        /// The session's id.
        #[arg(required_unless_present = "all_of")]
        session: Option<String>,
        /// Every session of this person: id or name.
        #[arg(long, value_name = "USER", conflicts_with = "session")]
        all_of: Option<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// `propusk token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Judge a token as a service would, and say why.
    Inspect(InspectArgs),
}

/// `propusk token inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The issuer that the token must be of.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: String,
    /// The service that the token must be for.
    #[arg(long, value_name = "SERVICE")]
    pub(crate) audience: String,
    /// The service's keys: a JWK Set in a file or at a URL.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: String,
    /// The only certificates to trust at that URL, PEM; without it, those of this machine.
    #[arg(long, value_name = "FILE", env = "PROPUSK_TLS__CA")]
    pub(crate) ca: Option<PathBuf>,
    /// As of this time (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<jiff::Timestamp>,
    /// How far clocks may differ.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) leeway: std::time::Duration,
    /// Judge each line of the input; the exit status is 0 whatever the answers.
    #[arg(long)]
    pub(crate) lines: bool,
    /// The token; `-`, or none, is standard input.
    pub(crate) token: Option<String>,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::Setting::from_text(text)
}

/// `propusk verifier`.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Every live verifier: how far it is behind, and how long its lease runs.
    List {
        /// Again each second, until interrupted.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
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
                let is_secret = ["password", "secret"].iter().any(|word| name.contains(word));
                assert!(!is_secret || name.ends_with("_file"), "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
