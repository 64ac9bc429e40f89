//! Operations on a service's keys: staging, rotation, emergency revocation, and forgetting.

use super::rotation::{Cleared, Ring};
use super::{FreshKey, install_first_keys, publish};
use crate::audit::Actor;
use crate::env::Env;
use crate::id::{Kid, ServiceId};
use crate::log::{self, Change};
use crate::store::{AuditEntry, KeyState, SealedKey, Service, StoreError, Tx};

/// A key that was promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// It takes over by itself.
    pub kid: Kid,
    /// Its state now.
    pub state: KeyState,
    /// Every verifier has to acknowledge this position first.
    pub seq: u64,
}

/// Why no rotation began.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// There is no such service.
    #[error("there is no such service")]
    UnknownService,
    /// No key is staged: call again with a fresh one.
    #[error("no key is staged")]
    NoSpare(Service),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no key was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There is no such key.
    #[error("there is no such key")]
    UnknownKey,
    /// It signs, and no key is staged to take its place: call again with a fresh one.
    #[error("no key is staged")]
    NoSpare(Service),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stages a key, unless one is staged; whether it was.
///
/// # Errors
/// When the store fails.
pub fn stage(tx: &mut dyn Tx, env: Env<'_>, spare: &FreshKey) -> Result<bool, StoreError> {
    let is_new = insert_spare(tx, env, spare)?;
    if is_new {
        publish(tx, env, &spare.0.service)?;
    }
    Ok(is_new)
}

/// The same, but for the event, which comes last in a transaction.
fn insert_spare(tx: &mut dyn Tx, env: Env<'_>, spare: &FreshKey) -> Result<bool, StoreError> {
    if Ring::read(tx, &spare.0.service)?.staged().is_some() {
        return Ok(false);
    }
    tx.insert_key(&spare.0)?;
    audit(tx, env, &Actor::system(), "key_staged", &spare.0)?;
    Ok(true)
}

/// Begins a rotation: the staged key will sign as soon as everybody can check what it signs. A rotation that has begun
/// goes on. `spare` is used if no key is staged.
///
/// # Errors
/// [`RotateError`].
pub fn rotate(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    service: &ServiceId,
    spare: Option<&FreshKey>,
) -> Result<Promoted, RotateError> {
    let known = tx.service(service)?.ok_or(RotateError::UnknownService)?;
    if let Some(spare) = spare {
        insert_spare(tx, env, spare)?;
    }
    let ring = Ring::read(tx, service)?;
    let next = ring.promotion(env.now).ok_or(RotateError::NoSpare(known))?;
    if ring.promoted().is_none() {
        tx.update_key(&next)?;
        audit(tx, env, actor, "key_rotation_begun", &next)?;
    }
    let seq = match next.published_seq {
        Some(seq) => seq,
        None => publish(tx, env, service)?,
    };
    Ok(Promoted { kid: next.kid, state: next.state, seq })
}

/// Lets a promoted key sign, and retires the one before it. Verifiers have both already.
///
/// # Errors
/// When the store fails.
pub fn activate(tx: &mut dyn Tx, env: Env<'_>, ring: &Ring, cleared: &Cleared) -> Result<(), StoreError> {
    let ceiling = tx.log_state()?.exp_ceiling;
    for key in ring.activation(cleared, env.now, ceiling) {
        tx.update_key(&key)?;
        if key.state == KeyState::Active {
            audit(tx, env, &Actor::system(), "key_activated", &key)?;
        }
    }
    Ok(())
}

/// Takes a key back: what it signed is stale from now on. If it is the one that signs, the staged key takes over in the
/// same transaction. `spare` is used if that is needed and no key is staged. Answers the position in the log to wait for.
///
/// # Errors
/// [`RevokeError`].
pub fn revoke(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    kid: &Kid,
    spare: Option<&FreshKey>,
) -> Result<u64, RevokeError> {
    let key = tx.key(kid)?.ok_or(RevokeError::UnknownKey)?;
    if key.state == KeyState::Revoked {
        return Ok(log::nothing_changed(tx)?);
    }
    let is_staged_now = match spare {
        Some(spare) => insert_spare(tx, env, spare)?,
        None => false,
    };
    let ceiling = tx.log_state()?.exp_ceiling;
    let Some(changed) = Ring::read(tx, &key.service)?.revocation(&key, env.now, ceiling) else {
        let service = tx.service(&key.service)?.ok_or(RevokeError::UnknownKey)?;
        return Err(RevokeError::NoSpare(service));
    };
    for key in &changed {
        tx.update_key(key)?;
    }
    audit(tx, env, actor, "key_revoked", &key)?;
    if is_staged_now {
        publish(tx, env, &key.service)?;
    }
    Ok(log::append(tx, env, &Change::KeyRevoked(kid.clone()))?)
}

/// Takes back every key of a ring at once, whatever its state: one that signs now may be one whose revocation was lost.
/// Both new keys are of the same service; one of them signs from now on. The keys that were taken back.
///
/// # Errors
/// When the store fails.
pub fn replace(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    active: FreshKey,
    spare: FreshKey,
) -> Result<Vec<Kid>, StoreError> {
    let ceiling = tx.log_state()?.exp_ceiling;
    let mut taken_back = Vec::new();
    for key in tx.keys_of(&active.0.service)?.into_iter().filter(|key| key.state != KeyState::Revoked) {
        tx.update_key(&SealedKey { state: KeyState::Revoked, until: Some(ceiling), ..key.clone() })?;
        audit(tx, env, actor, "key_revoked", &key)?;
        taken_back.push(key.kid);
    }
    install_first_keys(tx, env, active, spare)?;
    Ok(taken_back)
}

/// Removes the keys that no living token is of, given the log's floor; whether there were any.
///
/// # Errors
/// When the store fails.
pub fn forget_passed(tx: &mut dyn Tx, env: Env<'_>, floor: u64) -> Result<bool, StoreError> {
    let mut forgotten = false;
    for ring in Ring::read_all(tx)? {
        let passed: Vec<&SealedKey> = ring.passed(floor).collect();
        for key in &passed {
            tx.delete_key(&key.kid)?;
        }
        if !passed.is_empty() {
            publish(tx, env, ring.service())?;
            forgotten = true;
        }
    }
    Ok(forgotten)
}

fn audit(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    action: &'static str,
    key: &SealedKey,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        subject: key.service.to_string(),
        service: Some(key.service.to_string()),
        kid: Some(key.kid.to_string()),
        ..actor.entry(action, "ok")
    };
    tx.append_audit(&entry, env.now)
}
