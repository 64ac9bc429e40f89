//! Key rotation as this process drives it: each second it looks at every ring and does what is due.

use std::sync::Arc;

use propusk_core::audit::Actor;
use propusk_core::env::{Clock as _, Env, SystemClock, Timestamp};
use propusk_core::id::ServiceId;
use propusk_core::keys::{self, Due, Facts, FreshKey, Obstacles, Promoted, Ring, RotateError};
use propusk_core::store::{SealedKey, Service, StoreError, Tx};

use crate::app::{App, env};

/// Looks at every ring once.
pub(crate) async fn step(app: &Arc<App>) {
    let rings = match app.read(|tx, _| Ring::read_all(tx)).await {
        Ok(rings) => rings,
        Err(error) => return tracing::error!(%error, "keys cannot be read"),
    };
    for ring in rings {
        if let Err(error) = advance(app, &ring).await {
            tracing::error!(%error, service = %ring.service(), "a ring could not be changed");
        }
    }
}

async fn advance(app: &Arc<App>, ring: &Ring) -> Result<(), StoreError> {
    let service = ring.service().clone();
    match app.due(ring, SystemClock.now()) {
        None => Ok(()),
        Some(Due::Spare) => stage(app, service).await,
        Some(Due::Rotation) => match rotate(app, Actor::system(), service).await {
            Ok(_) | Err(RotateError::UnknownService) => Ok(()),
            Err(RotateError::Store(error)) => Err(error),
            Err(error @ RotateError::NoSpare(_)) => Err(StoreError::failed(error)),
        },
        Some(Due::Activation(_)) => activate(app, service).await,
    }
}

async fn stage(app: &Arc<App>, id: ServiceId) -> Result<(), StoreError> {
    let Some(service) = app.read(move |tx, _| tx.service(&id)).await? else { return Ok(()) };
    let spare = app.fresh_key(service).await?;
    app.change_keys(move |tx, env| keys::stage(tx, env, &spare)).await.map(drop)
}

/// What is due is asked again in the transaction: meanwhile somebody may have connected who lacks the key.
async fn activate(app: &Arc<App>, service: ServiceId) -> Result<(), StoreError> {
    let judge = Arc::clone(app);
    app.change_keys(move |tx, env| {
        let ring = Ring::read(tx, &service)?;
        match judge.due(&ring, env.now) {
            Some(Due::Activation(cleared)) => keys::activate(tx, env, &ring, &cleared),
            _ => Ok(()),
        }
    })
    .await
}

/// Begins a rotation.
pub(crate) async fn rotate(app: &Arc<App>, actor: Actor, service: ServiceId) -> Result<Promoted, RotateError> {
    let attempt = |spare: Option<FreshKey>| {
        let (actor, service) = (actor.clone(), service.clone());
        app.change_keys(move |tx, env| keys::rotate(tx, env, &actor, &service, spare.as_ref()))
    };
    match attempt(None).await {
        Err(RotateError::NoSpare(service)) => attempt(Some(app.fresh_key(service).await?)).await,
        begun => begun,
    }
}

/// A fresh key for a ring in which none is staged; `None` where one is, and where there is no such ring.
pub(crate) async fn spare_for(app: &Arc<App>, id: ServiceId) -> Result<Option<FreshKey>, StoreError> {
    let lacking = app.read(move |tx, _| {
        let is_staged = Ring::read(tx, &id)?.staged().is_some();
        if is_staged { Ok(None) } else { tx.service(&id) }
    });
    match lacking.await? {
        Some(service) => app.fresh_key(service).await.map(Some),
        None => Ok(None),
    }
}

impl App {
    /// What has to be done about a ring now.
    fn due(&self, ring: &Ring, wall: Timestamp) -> Option<Due> {
        self.with_facts(wall, |facts| ring.due(facts, &self.key_schedule))
    }

    /// What keeps a promoted key from signing.
    pub(crate) fn obstacles(&self, key: &SealedKey, wall: Timestamp) -> Obstacles {
        self.with_facts(wall, |facts| keys::obstacles(key, facts, &self.key_schedule))
    }

    fn with_facts<T>(&self, wall: Timestamp, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        self.feed.look(|registry, now| {
            let published = self.published.lock();
            judge(&Facts { wall, now, published: &published, registry })
        })
    }

    /// Runs an operation that changes keys. What is public of them changes just before the commit: nobody ever has a
    /// token whose key cannot be fetched yet.
    pub(crate) async fn change_keys<T, E>(
        self: &Arc<Self>,
        job: impl FnOnce(&mut dyn Tx, Env<'static>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let app = Arc::clone(self);
        let changing = self.write(move |tx, env| {
            let changed = job(tx, env)?;
            app.publish(keys::load_rings(tx)?);
            Ok(changed)
        });
        let changed = changing.await;
        // Also when the commit failed: then what was published before holds again.
        if let Err(error) = self.reload_rings().await {
            tracing::error!(%error, "keys cannot be read");
        }
        changed
    }

    /// Makes a key, on a thread where the time that RSA takes holds nobody up.
    pub(crate) async fn fresh_key(self: &Arc<Self>, service: Service) -> Result<FreshKey, StoreError> {
        let app = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || FreshKey::generate(app.signer.kek(), &service, env()));
        made.await.map_err(StoreError::failed)?.map_err(StoreError::failed)
    }
}

#[cfg(test)]
mod tests;
