//! `propusk token revoke`.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::{Api, Change, changed};
use crate::cli::RevokeTokenArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::private;
use crate::secret::SecretText;

/// No token is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// Lets one token be refused everywhere.
pub(crate) async fn revoke(args: RevokeTokenArgs) -> Outcome {
    let body = match &args.jti {
        Some(jti) => json!({"jti": jti}),
        None => json!({"token": token(args.token_file.as_deref())?.expose()}),
    };
    let api = Api::connect(&args.api).await?;
    let change = Change::post("/admin/v1/tokens/revoke").body(body).once();
    changed(&api, &args.api, &args.wait, change, "the token is refused").await
}

/// From a file, or from standard input.
fn token(file: Option<&Path>) -> Result<SecretText, Failure> {
    let text = match file {
        Some(file) => private::read(file).map_err(|error| Failure::new(Exit::Usage, error))?,
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage(
                "which token? Give --token-file FILE or --jti ID, or write it to standard input",
            ));
        }
        None => {
            let mut text = zeroize::Zeroizing::new(String::new());
            let read = std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text);
            read.context("cannot read the token from standard input")?;
            zeroize::Zeroizing::new(text.trim().to_owned())
        }
    };
    if text.is_empty() { Err(Failure::usage("there is no token in the input")) } else { Ok(text.into()) }
}
