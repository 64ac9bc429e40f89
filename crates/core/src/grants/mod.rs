//! The grants of the token endpoint, one module each. HTTP decides nothing: it hands over what was sent.

pub mod client_credentials;
pub mod password;
pub mod refresh;
pub mod token_exchange;

use crate::env::Env;
use crate::id::ServiceId;
use crate::mint::{MintError, UnsignedToken};
use crate::secret::PlainSecret;
use crate::store::{Client, GrantType, LastUse, StoreError};
use crate::target::TargetError;

/// What a grant yields; the access token is still to be signed.
#[derive(Debug)]
pub struct TokenSet {
    /// Access token.
    pub access: UnsignedToken,
    /// Refresh token and the seconds until it is of no use.
    pub refresh: Option<(PlainSecret, u64)>,
}

impl TokenSet {
    pub(crate) fn with_refresh(access: UnsignedToken, refresh: PlainSecret, last_use: LastUse, env: Env<'_>) -> Self {
        Self { access, refresh: Some((refresh, last_use.idle_expires_at.since(env.now).as_secs())) }
    }
}

/// Why a grant was refused: the errors of RFC 6749 section 5.2 and RFC 8707.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// `unauthorized_client`: this client may not use this grant.
    #[error("the client may not use this grant")]
    UnauthorizedClient,
    /// `invalid_grant`: the credential is unknown, expired, revoked or used up.
    #[error("invalid grant: {0}")]
    InvalidGrant(&'static str),
    /// `invalid_request`: the subject token of an exchange is bad, expired, revoked or stale.
    #[error("invalid subject token: {0}")]
    InvalidSubjectToken(String),
    /// `invalid_target`.
    #[error(transparent)]
    Target(TargetError),
    /// `invalid_target`: no rule lets this client exchange for this audience.
    #[error("no exchange rule from this client to {0}")]
    NoExchangeRule(ServiceId),
    /// Nothing the client could mend.
    #[error(transparent)]
    Mint(MintError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TargetError> for GrantError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Store(error) => Self::Store(error),
            error => Self::Target(error),
        }
    }
}

impl From<MintError> for GrantError {
    fn from(error: MintError) -> Self {
        match error {
            MintError::Store(error) => Self::Store(error),
            error => Self::Mint(error),
        }
    }
}

/// The client was registered for this grant, and is first-party where the grant shows it passwords.
fn expect_allowed(client: &Client, grant: GrantType) -> Result<(), GrantError> {
    let allowed = client.grant_types.contains(&grant) && (grant != GrantType::Password || client.first_party);
    if allowed { Ok(()) } else { Err(GrantError::UnauthorizedClient) }
}
