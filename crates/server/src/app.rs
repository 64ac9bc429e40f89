//! What every handler works with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use propusk_core::env::{Clock as _, Env, SystemClock, SystemRandom};
use propusk_core::id::{Kid, ServiceId};
use propusk_core::keys::{PublicRing, Published, Schedule, Signer};
use propusk_core::mint::UnsignedToken;
use propusk_core::roles::AUTHORITY_SERVICE;
use propusk_core::settings::Settings;
use propusk_core::store::{StoreError, Tx};
use propusk_store::SqliteStore;
use propusk_verify::clock::{Clock as _, SystemClock as BootClock};
use propusk_verify::forwarded::Network;
use propusk_verify::jose::KeyRing;
use propusk_verify::token::{Claim, Profile, Reason, VerifiedToken, verify_access_token};
use zeroize::Zeroizing;

use crate::feed::FeedState;
use crate::hashing::HashingPool;
use crate::known_tokens::{self, KnownTokens, Rings};
use crate::throttle::Throttle;

/// Shared by all requests.
pub(crate) struct App {
    pub(crate) store: SqliteStore,
    pub(crate) settings: Arc<Settings>,
    pub(crate) signer: Signer,
    pub(crate) hashing: HashingPool,
    pub(crate) throttle: Throttle,
    /// Whose word counts on where a request comes from.
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) rings: ArcSwap<Rings>,
    pub(crate) known_tokens: KnownTokens,
    /// Since when they are served.
    pub(crate) published: Mutex<Published>,
    /// Held by the one that reads them again: what was read first is served first.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// When keys change. Its `max_age` is that of key sets and PEM.
    pub(crate) key_schedule: Schedule,
    /// The authority's own ring, as its verifier follows it.
    pub(crate) own_ring: Arc<ArcSwap<KeyRing>>,
    pub(crate) feed: FeedState,
    /// How long a revoking call waits for enforcement, unless it says otherwise.
    pub(crate) revoke_wait_limit: Duration,
    pub(crate) publish_all_keys: bool,
}

/// The environment of an operation that starts now.
pub(crate) fn env() -> Env<'static> {
    Env::new(&SystemClock, &SystemRandom)
}

impl App {
    /// Runs an operation that reads, in one snapshot that begins after this call.
    pub(crate) async fn read<T, E>(
        &self,
        job: impl FnOnce(&dyn Tx, Env<'static>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.read(move |tx| job(tx, env())).await
    }

    /// The same for an operation of a few point reads, on this thread if it can be.
    pub(crate) async fn read_briefly<T, E>(
        &self,
        job: impl FnOnce(&dyn Tx, Env<'static>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.read_briefly(move |tx| job(tx, env())).await
    }

    /// Runs an operation that writes; what it answers is durable.
    pub(crate) async fn write<T, E>(
        &self,
        job: impl FnOnce(&mut dyn Tx, Env<'static>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.write(move |tx| job(tx, env())).await
    }

    /// Checks an access token of whatever audience of ours, against that audience's ring.
    pub(crate) fn verify_any(&self, raw: &str) -> Result<Arc<VerifiedToken>, Reason> {
        if raw.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLarge);
        }
        let (rings, hash) = (self.rings.load(), known_tokens::hash(raw));
        let now = SystemClock.now().unix_seconds();
        if let Some(known) = self.known_tokens.get(&hash, &rings) {
            let end = known.claims().exp.saturating_add(self.settings.leeway.as_secs());
            return if now < end { Ok(known) } else { Err(Reason::ExpPast) };
        }
        let audience = claimed_audience(raw).ok_or(Reason::Missing(Claim::Aud))?;
        let ring = audience.parse::<ServiceId>().ok().and_then(|id| rings.get(&id)).ok_or(Reason::AudWrong)?;
        let profile = Profile { issuer: self.settings.issuer.clone(), audience, leeway: self.settings.leeway };
        let token = Arc::new(verify_access_token(raw, &ring.ring, &profile, now)?);
        self.known_tokens.put(hash, &rings, &token);
        Ok(token)
    }

    /// Signs at once what takes microseconds, and on a thread of its own what takes a millisecond and would hold others
    /// up: RSA.
    pub(crate) async fn sign(self: &Arc<Self>, token: UnsignedToken) -> Result<Zeroizing<String>, StoreError> {
        if token.is_signed_fast() {
            return self.signer.sign(&token).map_err(StoreError::failed);
        }
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || app.signer.sign(&token))
            .await
            .map_err(StoreError::failed)?
            .map_err(StoreError::failed)
    }

    /// Reads the rings again, after any change to keys.
    pub(crate) async fn reload_rings(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.reloading.lock().await;
        self.publish(self.read(|tx, _| propusk_core::keys::load_rings(tx)).await?);
        Ok(())
    }

    /// Serves these rings from now on.
    pub(crate) fn publish(&self, rings: BTreeMap<ServiceId, PublicRing>) {
        let own = rings.iter().find(|(service, _)| service.as_str() == AUTHORITY_SERVICE);
        if let Some((_, own)) = own {
            self.own_ring.store(Arc::new(own.ring.clone()));
        }
        let parsed = |kid: &String| kid.parse::<Kid>().ok();
        let active: Vec<Kid> = rings.values().filter_map(|ring| ring.active.as_ref().and_then(parsed)).collect();
        let kids: Vec<Kid> = rings.values().flat_map(|ring| ring.pems.keys()).filter_map(parsed).collect();
        self.rings.store(Arc::new(rings));
        self.published.lock().note(BootClock.moment(), kids);
        self.signer.keep_only(&active);
    }
}

/// The audience that a token claims, so that it can be checked against that audience's ring; not to be believed.
fn claimed_audience(raw: &str) -> Option<String> {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    #[derive(serde::Deserialize)]
    struct Aud {
        aud: String,
    }
    let claims = Base64UrlUnpadded::decode_vec(raw.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Aud>(&claims).ok().map(|claims| claims.aud)
}

/// Longer texts are no tokens of ours.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
