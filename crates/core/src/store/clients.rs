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
    /// Replaces every field of the client with this id but `created_at`.
    fn update_client(&mut self, client: &Client) -> Result<(), StoreError>;
}
