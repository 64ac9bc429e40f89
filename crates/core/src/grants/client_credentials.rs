//! RFC 6749 section 4.4: a client gets a token for itself.

use super::{GrantError, TokenSet, expect_allowed};
use crate::env::Env;
use crate::id::Subject;
use crate::mint::{self, MintRequest};
use crate::settings::Settings;
use crate::store::{Client, GrantType, Tx};
use crate::target::{self, Target};

/// Prepares a token whose subject is the client. It reads only, and in one snapshot; `client` was authenticated in
/// an earlier one, so its status is read again.
///
/// # Errors
/// [`GrantError`].
pub fn grant(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    client: &Client,
    target: &Target,
) -> Result<TokenSet, GrantError> {
    let client = tx.client(&client.id)?.filter(|client| !client.disabled).ok_or(GrantError::UnauthorizedClient)?;
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
