//! Signing keys: making, sealing, publishing, using and changing them. Each audience has a ring of its own.

mod change;
mod kek;
mod ring;
mod rotation;
mod signing;

pub use change::{Promoted, RevokeError, RotateError, activate, forget_passed, replace, revoke, rotate, stage};
pub use kek::{Kek, KekError};
pub use ring::{KeyMaterialError, PublicRing, jwks_for_verifiers, load_rings, public_jwk, spki_pem};
pub use rotation::{Cleared, Due, Facts, Obstacles, Published, Ring, Schedule, obstacles};
pub use signing::{Signer, SigningError};

use crate::env::Env;
use crate::id::ServiceId;
use crate::log::{self, Change};
use crate::store::{KeyState, SealedKey, Service, StoreError, Tx};

/// Why a ring could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// Making or sealing failed.
    #[error(transparent)]
    Material(#[from] KeyMaterialError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key pair that is in no ring yet. Making an RSA key takes a while, so it is made before the transaction.
#[derive(Debug)]
pub struct FreshKey(SealedKey);

impl FreshKey {
    /// Makes a key for a service and seals its private part.
    ///
    /// # Errors
    /// [`KeyMaterialError`].
    pub fn generate(kek: &Kek, service: &Service, env: Env<'_>) -> Result<Self, KeyMaterialError> {
        signing::generate(kek, &service.id, service.alg, env).map(Self)
    }
}

/// Puts the first two keys of a new service into its ring: one signs at once, for nobody can hold an older ring;
/// the other is the staged spare.
///
/// # Errors
/// When the store fails.
pub fn install_first_keys(tx: &mut dyn Tx, env: Env<'_>, active: FreshKey, spare: FreshKey) -> Result<(), StoreError> {
    let mut active = active.0;
    active.state = KeyState::Active;
    active.activated_at = Some(env.now);
    tx.insert_key(&active)?;
    tx.insert_key(&spare.0)
}

/// Tells verifiers of a ring as it is now. Answers the position in the log to wait for.
///
/// # Errors
/// When the store fails.
pub fn publish(tx: &mut dyn Tx, env: Env<'_>, service: &ServiceId) -> Result<u64, StoreError> {
    let seq = log::append(tx, env, &Change::KeysChanged(service.clone()))?;
    tx.publish_keys(service, seq)?;
    Ok(seq)
}

/// Whether a service has a key that signs.
///
/// # Errors
/// When the store fails.
pub fn has_active_key(tx: &dyn Tx, service: &ServiceId) -> Result<bool, StoreError> {
    Ok(tx.active_key(service)?.is_some())
}
