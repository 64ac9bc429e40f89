//! Going on after commits were lost: from a backup, or on a node that lagged when the primary was lost.
//!
//! Which tokens, sessions and keys were revoked in the lost part is not known, so nothing that was handed out by then is
//! honoured any more, in one transaction:
//! - the head leaps beyond every position that the lost part can have given out, so that `epoch` tells tokens from before
//!   and after apart, and every verifier has to take a snapshot;
//! - `all_changed{*}` makes every token stale;
//! - every session ends: which of them were revoked is not known;
//! - every key is taken back, and each ring gets two new ones. A key that leaked and was revoked in the lost part would
//!   sign again otherwise, and whoever has it writes whatever `epoch` he likes. A key that was made in the lost part is in
//!   no ring any more.
//!
//! What people, clients and roles are is what is stored: who was disabled in the lost part is not, and passwords and
//! client secrets are the ones of then. Answers that are kept for who asks again are kept on: they are true of what is
//! stored.

use std::time::Duration;

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{Kid, ServiceId};
use crate::keys::{self, FreshKey, Kek, KeyMaterialError, Ring};
use crate::log::{self, Change};
use crate::store::{AuditEntry, Service, StoreError, Tx};

/// How far the head leaps: no lost part is longer.
pub const LEAP: u64 = 1 << 32;

/// What is known of the lost part from elsewhere; zeros if nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// The head, as far as it is known to have come.
    pub head: u64,
    /// The longest lease that may have been granted.
    pub longest_lease_ms: u64,
}

/// The new keys of one service. RSA takes a while, so they are made before the transaction.
#[derive(Debug)]
pub struct FreshRing {
    service: ServiceId,
    active: FreshKey,
    spare: FreshKey,
}

impl FreshRing {
    /// Makes them.
    ///
    /// # Errors
    /// [`KeyMaterialError`].
    pub fn generate(kek: &Kek, service: &Service, env: Env<'_>) -> Result<Self, KeyMaterialError> {
        let [active, spare] = [FreshKey::generate(kek, service, env)?, FreshKey::generate(kek, service, env)?];
        Ok(Self { service: service.id.clone(), active, spare })
    }
}

/// The services whose rings are to be replaced.
///
/// # Errors
/// When the store fails.
pub fn services(tx: &dyn Tx) -> Result<Vec<Service>, StoreError> {
    let mut services = Vec::new();
    for ring in Ring::read_all(tx)? {
        services.extend(tx.service(ring.service())?);
    }
    Ok(services)
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// The head now.
    pub head: u64,
    /// Sessions that had not ended.
    pub sessions_ended: usize,
    /// Keys that were not revoked.
    pub keys_revoked: usize,
}

/// Goes on from what is stored. `action` is what the audit log calls it.
///
/// # Errors
/// When the store fails, or a ring is not among `rings`.
pub fn go_on(
    tx: &mut dyn Tx,
    env: Env<'_>,
    action: &'static str,
    lost: Lost,
    leeway: Duration,
    rings: Vec<FreshRing>,
) -> Result<Recovered, StoreError> {
    let actor = Actor::system();
    // First the ceiling: what is appended below has to be remembered for as long as tokens of the lost part may live.
    log::raise_limits(tx, env.now, leeway)?;
    tx.raise_longest_lease_ms(lost.longest_lease_ms)?;
    let sessions_ended = tx.end_all_sessions(env.now)?;
    let (services, revoked) = replace_rings(tx, env, &actor, rings)?;
    let entry = AuditEntry { subject: actor.subject.clone(), ..actor.entry(action, "ok") };
    tx.append_audit(&entry, env.now)?;
    let head = tx.log_state()?.head.max(lost.head);
    tx.raise_head(head.checked_add(LEAP).ok_or_else(|| StoreError::failed("the log has no positions left"))?)?;
    for kid in &revoked {
        log::append(tx, env, &Change::KeyRevoked(kid.clone()))?;
    }
    for service in &services {
        keys::publish(tx, env, service)?;
    }
    let head = log::append(tx, env, &Change::AllChanged(None))?;
    Ok(Recovered { head, sessions_ended, keys_revoked: revoked.len() })
}

/// The services that have new keys, and the keys that were taken back.
fn replace_rings(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    rings: Vec<FreshRing>,
) -> Result<(Vec<ServiceId>, Vec<Kid>), StoreError> {
    let (mut services, mut revoked) = (Vec::new(), Vec::new());
    for FreshRing { service, active, spare } in rings {
        revoked.extend(keys::replace(tx, env, actor, active, spare)?);
        services.push(service);
    }
    match Ring::read_all(tx)?.iter().find(|ring| !services.contains(ring.service())) {
        Some(ring) => Err(StoreError::failed(format!("there are no new keys for {}", ring.service()))),
        None => Ok((services, revoked)),
    }
}
