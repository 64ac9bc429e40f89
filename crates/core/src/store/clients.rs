//! OAuth clients.

use std::fmt;
use std::str::FromStr;

use super::{Page, StoreError};
use crate::env::Timestamp;
use crate::id::{ClientId, ServiceId};
use crate::secret::HashedSecret;

/// A confidential client of the token endpoint, or the built-in `auth-api` of the JSON calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The `client_id`.
    pub id: ClientId,
    /// For people.
    pub name: String,
    /// `None`: it cannot authenticate.
    pub secret: Option<HashedSecret>,
    /// The secret before this one, while it is still good.
    pub previous_secret: Option<PreviousSecret>,
    /// How it was registered to authenticate. Both ways send the same secret, so either is taken from any client.
    pub auth_method: AuthMethod,
    /// Where a person may be sent back to after signing in for it.
    pub redirect_uris: Vec<String>,
    /// May see people's passwords; needed for the password grant. Only an operator sets it.
    pub first_party: bool,
    /// What it may ask the token endpoint for.
    pub grant_types: Vec<GrantType>,
    /// The audiences it may get tokens for.
    pub audiences: Vec<ServiceId>,
    /// A disabled client gets no token.
    pub disabled: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Grows with every change of it; the store counts.
    pub version: u64,
}

impl Client {
    /// A client with this name that can do nothing yet.
    pub fn named(id: ClientId, name: impl Into<String>, created_at: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            secret: None,
            previous_secret: None,
            auth_method: AuthMethod::ClientSecretBasic,
            redirect_uris: Vec::new(),
            first_party: false,
            grant_types: Vec::new(),
            audiences: Vec::new(),
            disabled: false,
            created_at,
            version: 1,
        }
    }
}

/// A secret that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Its hash.
    pub secret: HashedSecret,
    /// From then on it is no good.
    pub until: Timestamp,
}

/// How a client authenticates at our endpoints (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// HTTP Basic.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

impl AuthMethod {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ClientSecretBasic, Self::ClientSecretPost];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    /// The method that `text` names.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// The grants of the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 4.3; first-party clients only.
    Password,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 8693.
    TokenExchange,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ClientCredentials, Self::Password, Self::RefreshToken, Self::TokenExchange];

    /// The parameter's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no grant that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a supported grant type")]
pub struct UnknownGrantType;

impl FromStr for GrantType {
    type Err = UnknownGrantType;

    fn from_str(text: &str) -> Result<Self, UnknownGrantType> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text).ok_or(UnknownGrantType)
    }
}

/// Storage of [`Client`]s.
pub trait Clients {
    /// By id.
    fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError>;
    /// In order of id; `page.after` is an id.
    fn clients(&self, page: &Page) -> Result<Vec<Client>, StoreError>;
    /// A new client; `false` if the id is taken (then nothing was written).
    fn insert_client(&mut self, client: &Client) -> Result<bool, StoreError>;
    /// Replaces every field of the client with this id but `created_at` and `version`, which grows.
    fn update_client(&mut self, client: &Client) -> Result<(), StoreError>;
}
