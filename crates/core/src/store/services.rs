//! Services, which are the audiences of tokens.

use super::keys::SigningAlg;
use super::{Page, StoreError};
use crate::env::Timestamp;
use crate::id::ServiceId;

/// A service that takes tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The claim `aud` of its tokens.
    pub id: ServiceId,
    /// What its keys sign with.
    pub alg: SigningAlg,
    /// The URI that RFC 8707's `resource` names it by.
    pub resource_uri: Option<String>,
    /// Life of its access tokens in seconds, if it differs from the setting.
    pub access_ttl_s: Option<u32>,
    /// How long a key of its signs, in seconds, if it differs from the setting; zero is for ever.
    pub rotate_every_s: Option<u32>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Grows with every change of it; the store counts.
    pub version: u64,
}

/// Storage of [`Service`]s.
pub trait Services {
    /// By id.
    fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError>;
    /// By its registered URI.
    fn service_by_resource(&self, uri: &str) -> Result<Option<Service>, StoreError>;
    /// In order of id; `page.after` is an id.
    fn services(&self, page: &Page) -> Result<Vec<Service>, StoreError>;
    /// A new service; `false` if the id or the URI is taken (then nothing was written).
    fn insert_service(&mut self, service: &Service) -> Result<bool, StoreError>;
    /// Replaces the URI, the life of access tokens and the time between rotations of the service with this id; `false`
    /// if the URI is taken (then nothing was written).
    fn update_service(&mut self, service: &Service) -> Result<bool, StoreError>;
}
