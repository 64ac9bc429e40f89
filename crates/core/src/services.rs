//! Services: registration of an audience with its own key ring.

use crate::audit::Actor;
use crate::env::Env;
use crate::keys::{self, FreshKey};
use crate::store::{AuditEntry, Service, StoreError, Tx};

/// Why no service was registered.
#[derive(Debug, thiserror::Error)]
pub enum NewServiceError {
    /// There is one with this id or URI.
    #[error("the service exists")]
    Exists,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Registers a service. Its keys were made before the transaction. Answers the position in the log to wait for.
///
/// # Errors
/// [`NewServiceError`].
pub fn create(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    service: &Service,
    active: FreshKey,
    spare: FreshKey,
) -> Result<u64, NewServiceError> {
    if !tx.insert_service(service)? {
        return Err(NewServiceError::Exists);
    }
    keys::install_first_keys(tx, env, active, spare)?;
    let entry = AuditEntry { service: Some(service.id.to_string()), ..actor.entry("service_created", "ok") };
    tx.append_audit(&entry, env.now)?;
    Ok(keys::publish(tx, env, &service.id)?)
}
