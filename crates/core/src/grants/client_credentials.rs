//! RFC 6749 section 4.4: a client gets a token for itself.

use super::{GrantError, TokenSet, expect_allowed};
use crate::env::Env;
use crate::id::Subject;
use crate::mint::{self, MintRequest};
use crate::settings::Settings;
use crate::store::{Client, GrantType, Tx};
use crate::target::{self, Target};

/// Prepares a token whose subject is the client. It reads only; `client` was authenticated in this very snapshot.
///
/// # Errors
/// [`GrantError`].
pub fn grant(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    client: Client,
    target: &Target,
) -> Result<TokenSet, GrantError> {
    expect_allowed(&client, GrantType::ClientCredentials)?;
    let audience = target::of_client(tx, &client, target)?;
    let request = MintRequest {
        subject: Subject::Client(client.id.clone()),
        client: client.id,
        audience,
        sid: None,
        act: None,
        not_after: None,
    };
    Ok(TokenSet { access: mint::prepare(tx, env, settings, &request)?, refresh: None })
}
