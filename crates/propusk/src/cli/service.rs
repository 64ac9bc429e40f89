//! `propusk service`.

use clap::Subcommand;

use super::{LimitArgs, OnceArgs, SeenArgs, SureArgs, WaitArgs};

/// `propusk service`.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// All services.
    List {
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// A service.
    Show {
        /// The service.
        service: String,
    },
    /// A new service, with keys of its own.
    Create {
        /// Its id: the audience of its tokens, which stays.
        service: String,
        /// How its tokens are signed: Ed25519, ES256, RS256 or HS256.
        #[arg(long, default_value = "Ed25519")]
        alg: String,
        /// The header member `alg` of its tokens, if it is to be another one than usual.
        #[arg(long)]
        jws_alg: Option<String>,
        /// The address by which clients may name it (RFC 8707).
        #[arg(long, value_name = "URI")]
        resource_uri: Option<String>,
        /// Seconds that its tokens live; without it, `token.access_ttl`.
        #[arg(long, value_name = "SECONDS")]
        access_ttl_s: Option<u32>,
        #[command(flatten)]
        once: OnceArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Another address or lifetime of tokens.
    #[command(group = clap::ArgGroup::new("change").args(["resource_uri", "no_resource_uri", "access_ttl_s", "no_access_ttl"]).required(true).multiple(true))]
    Change {
        /// The service.
        service: String,
        /// The address by which clients may name it.
        #[arg(long, value_name = "URI")]
        resource_uri: Option<String>,
        /// Take the address away.
        #[arg(long, conflicts_with = "resource_uri")]
        no_resource_uri: bool,
        /// Seconds that its tokens live.
        #[arg(long, value_name = "SECONDS")]
        access_ttl_s: Option<u32>,
        /// Let its tokens live as long as `token.access_ttl` says.
        #[arg(long, conflicts_with = "access_ttl_s")]
        no_access_ttl: bool,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Delete a service with its keys and roles. Its id is never given again.
    Delete {
        /// The service.
        service: String,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
}
