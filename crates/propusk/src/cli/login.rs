//! `propusk login` and `logout`.

use std::path::PathBuf;

use clap::Args;

use super::ApiArgs;

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

/// `propusk logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}
