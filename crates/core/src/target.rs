//! For which service a client asks a token: `audience` (RFC 8693) or `resource` (RFC 8707).

use crate::id::ServiceId;
use crate::store::{Client, Service, StoreError, Tx};

/// What the request named.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// A service id.
    pub audience: Option<String>,
    /// A service's registered URI.
    pub resource: Option<String>,
}

/// Why the request names no service that the client may have: `invalid_target`.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no such service, or it is not this client's.
    #[error("the client may not get tokens for this audience")]
    NotAllowed,
    /// The client has several audiences and named none.
    #[error("the client has several audiences: name one")]
    Ambiguous,
    /// `audience` and `resource` name different services.
    #[error("audience and resource name different services")]
    Contradiction,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The service that a registered client gets a token for.
///
/// # Errors
/// [`TargetError`].
pub fn of_client(tx: &dyn Tx, client: &Client, target: &Target) -> Result<Service, TargetError> {
    match (named(tx, target)?, client.audiences.as_slice()) {
        (Some(service), allowed) if allowed.contains(&service.id) => Ok(service),
        (None, [only]) => tx.service(only)?.ok_or(TargetError::NotAllowed),
        (Some(_), _) | (None, []) => Err(TargetError::NotAllowed),
        (None, _) => Err(TargetError::Ambiguous),
    }
}

/// The service that somebody asks for who may have any: the built-in `auth-api`, whose default is the authority.
///
/// # Errors
/// [`TargetError`].
pub fn of_any(tx: &dyn Tx, target: &Target, default: &ServiceId) -> Result<Service, TargetError> {
    match named(tx, target)? {
        Some(service) => Ok(service),
        None => tx.service(default)?.ok_or(TargetError::NotAllowed),
    }
}

/// The service that is named; `None` if none is.
pub(crate) fn named(tx: &dyn Tx, target: &Target) -> Result<Option<Service>, TargetError> {
    let by_id = match &target.audience {
        Some(text) => {
            let id: ServiceId = text.parse().map_err(|_| TargetError::NotAllowed)?;
            Some(tx.service(&id)?.ok_or(TargetError::NotAllowed)?)
        }
        None => None,
    };
    let by_uri = match &target.resource {
        Some(uri) => Some(tx.service_by_resource(uri)?.ok_or(TargetError::NotAllowed)?),
        None => None,
    };
    match (by_id, by_uri) {
        (Some(a), Some(b)) if a.id != b.id => Err(TargetError::Contradiction),
        (a, b) => Ok(a.or(b)),
    }
}
