//! Services: registration of an audience with its own key ring, changes, and the end.

use crate::audit::Actor;
use crate::env::Env;
use crate::id::ServiceId;
use crate::keys::{self, FreshKey};
use crate::log::{self, Change};
use crate::roles::{AUTHORITY_SERVICE, Admins};
use crate::store::{AuditEntry, GoneId, Page, Service, StoreError, Tx};
use crate::version::Expected;

/// Why a service was left as before, or not made.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is one with this id or URI, or there was.
    #[error("the service exists")]
    Exists,
    /// No such service.
    #[error("no such service")]
    Unknown,
    /// It is not what the author of the change saw.
    #[error("the service was changed meanwhile")]
    Changed,
    /// It is the authority itself.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Registers a service. Its keys were made before the transaction. Answers the position in the log to wait for.
///
/// # Errors
/// [`ServiceError`].
pub fn create(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    service: &Service,
    active: FreshKey,
    spare: FreshKey,
) -> Result<u64, ServiceError> {
    if tx.is_gone(&GoneId::Service(service.id.clone()))? || !tx.insert_service(service)? {
        return Err(ServiceError::Exists);
    }
    keys::install_first_keys(tx, env, active, spare)?;
    tx.append_audit(&entry(actor, "service_created", &service.id), env.now)?;
    Ok(keys::publish(tx, env, &service.id)?)
}

/// What is to be changed of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceChange {
    /// Another URI, or none any more.
    pub resource_uri: Option<Option<String>>,
    /// Another life of access tokens, or that of the setting.
    pub access_ttl_s: Option<Option<u32>>,
    /// Another time between rotations of its keys, or that of the setting.
    pub rotate_every_s: Option<Option<u32>>,
}

/// Changes a service; tokens that are out stay as they are. Answers what became of it, and the head of the log.
///
/// # Errors
/// [`ServiceError`].
pub fn change(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &ServiceId,
    change: ServiceChange,
    expected: &Expected,
) -> Result<(Service, u64), ServiceError> {
    let before = tx.service(id)?.ok_or(ServiceError::Unknown)?;
    if !expected.allows(Some(before.version)) {
        return Err(ServiceError::Changed);
    }
    let mut service = before.clone();
    service.resource_uri = change.resource_uri.unwrap_or(service.resource_uri);
    service.access_ttl_s = change.access_ttl_s.unwrap_or(service.access_ttl_s);
    service.rotate_every_s = change.rotate_every_s.unwrap_or(service.rotate_every_s);
    if service != before {
        if !tx.update_service(&service)? {
            return Err(ServiceError::Exists);
        }
        tx.append_audit(&entry(actor, "service_changed", id), env.now)?;
        service = tx.service(id)?.ok_or(ServiceError::Unknown)?;
    }
    Ok((service, log::nothing_changed(tx)?))
}

/// Deletes a service with its keys and roles: tokens for it are of no use any more. Its id is not given again. Answers
/// the position in the log to wait for.
///
/// # Errors
/// [`ServiceError`].
pub fn delete(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &ServiceId,
    expected: &Expected,
) -> Result<u64, ServiceError> {
    let service = tx.service(id)?.ok_or(ServiceError::Unknown)?;
    if !expected.allows(Some(service.version)) {
        return Err(ServiceError::Changed);
    }
    let admins = Admins::before(tx)?;
    tx.delete(&GoneId::Service(id.clone()), env.now)?;
    if id.as_str() == AUTHORITY_SERVICE || !admins.are_left(tx)? {
        return Err(ServiceError::LastAdmin);
    }
    take_from_clients(tx, id)?;
    tx.append_audit(&entry(actor, "service_deleted", id), env.now)?;
    log::append(tx, env, &Change::KeysChanged(id.clone()))?;
    log::append(tx, env, &Change::PolicyChanged(id.clone()))?;
    Ok(log::append(tx, env, &Change::AllChanged(Some(id.clone())))?)
}

/// Nobody may get tokens for it any more.
fn take_from_clients(tx: &mut dyn Tx, id: &ServiceId) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = tx.clients(&Page { after: after.take(), limit: 200 })?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.to_string());
        for mut client in page {
            if client.audiences.contains(id) {
                client.audiences.retain(|audience| audience != id);
                tx.update_client(&client)?;
            }
        }
    }
}

fn entry(actor: &Actor, action: &'static str, id: &ServiceId) -> AuditEntry {
    AuditEntry { subject: id.to_string(), service: Some(id.to_string()), ..actor.entry(action, "ok") }
}
