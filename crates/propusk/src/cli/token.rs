//! `propusk token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ApiArgs, WaitArgs};

/// `propusk token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Judge a token as a service would, and say why.
    Inspect(InspectArgs),
    /// Let one access token be refused everywhere.
    Revoke(RevokeTokenArgs),
}

/// `propusk token revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeTokenArgs {
    /// A file with the token; without it, standard input. A token is never an argument: everybody sees those.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The id of the token, its claim `jti`, instead of the token.
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) jti: Option<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
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
