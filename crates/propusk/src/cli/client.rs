//! `propusk client`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{LimitArgs, OnceArgs, SeenArgs, SureArgs, WaitArgs};

/// `propusk client`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// All clients.
    List {
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// A client and its roles.
    Show {
        /// The client's id.
        client: String,
    },
    /// A new client. Its secret is printed once, or written to --secret-file.
    Create(NewClientArgs),
    /// Change a client. What is named replaces what was there; the rest stays.
    Change(ClientChangeArgs),
    /// Delete a client. Its id is never given again.
    Delete {
        /// The client's id.
        client: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give a client another secret. Printed once, or written to --secret-file.
    NewSecret(NewSecretArgs),
    /// Refuse all its tokens and give it no more.
    Disable {
        /// The client's id.
        client: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a disabled client get tokens again.
    Enable {
        /// The client's id.
        client: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Refuse every token that it got until now.
    RevokeTokens {
        /// The client's id.
        client: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

/// `propusk client create`.
#[derive(Debug, Args)]
pub(crate) struct NewClientArgs {
    /// Its id; without it, one is made.
    pub(crate) client: Option<String>,
    /// What people call it; without it, its id.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How it may get tokens: client_credentials, refresh_token, password or
    /// urn:ietf:params:oauth:grant-type:token-exchange. May be repeated.
    #[arg(long = "grant", value_name = "GRANT", default_value = "client_credentials")]
    pub(crate) grants: Vec<String>,
    /// A service that its tokens may be for. May be repeated.
    #[arg(long = "audience", value_name = "SERVICE")]
    pub(crate) audiences: Vec<String>,
    /// Where people are sent back to. May be repeated.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub(crate) redirect_uris: Vec<String>,
    /// How it shows its secret: client_secret_basic or client_secret_post.
    #[arg(long, value_name = "METHOD", default_value = "client_secret_basic")]
    pub(crate) auth_method: String,
    /// It is a part of the product: it may use the password grant.
    #[arg(long)]
    pub(crate) first_party: bool,
    /// Write the secret to this file, mode 0600, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

/// `propusk client change`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["name", "grants", "audiences", "redirect_uris", "auth_method", "first_party"]).required(true).multiple(true))]
pub(crate) struct ClientChangeArgs {
    /// The client's id.
    pub(crate) client: String,
    /// What people call it.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How it may get tokens: client_credentials, refresh_token, password or
    /// urn:ietf:params:oauth:grant-type:token-exchange. May be repeated.
    #[arg(long = "grant", value_name = "GRANT")]
    pub(crate) grants: Vec<String>,
    /// A service that its tokens may be for. May be repeated.
    #[arg(long = "audience", value_name = "SERVICE")]
    pub(crate) audiences: Vec<String>,
    /// Where people are sent back to. May be repeated.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub(crate) redirect_uris: Vec<String>,
    /// How it shows its secret: client_secret_basic or client_secret_post.
    #[arg(long, value_name = "METHOD")]
    pub(crate) auth_method: Option<String>,
    /// Whether it is a part of the product.
    #[arg(long, value_name = "BOOL")]
    pub(crate) first_party: Option<bool>,
    #[command(flatten)]
    pub(crate) seen: SeenArgs,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// `propusk client new-secret`.
#[derive(Debug, Args)]
pub(crate) struct NewSecretArgs {
    /// The client's id.
    pub(crate) client: String,
    /// Seconds for which the secret before stays good; without it, that one ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) overlap_s: u64,
    /// Write the secret to this file, mode 0600, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sure: SureArgs,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}
