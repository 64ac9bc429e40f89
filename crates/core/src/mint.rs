//! Minting: everything a token says is read in one snapshot, and signed afterwards.
//!
//! Status, roles, signing key, the head of the log and its ceiling come from the same [`Tx`]; `epoch` is that head
//! and `exp` stays below the ceiling. So whatever is committed after the snapshot hits the token, and the log may
//! forget an event once no token it could hit is alive.

use std::time::Duration;

use propusk_verify::mutant;
use propusk_verify::token::Act;
use serde::Serialize;

use crate::env::Env;
use crate::id::{ClientId, Jti, RoleName, ServiceId, SessionId, Subject};
use crate::roles;
use crate::settings::{MAX_ACCESS_TTL, Settings};
use crate::store::{LogState, SealedKey, Service, SigningAlg, StoreError, Tx};

/// What a token is wanted for.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// Who it speaks for.
    pub subject: Subject,
    /// Who asked for it.
    pub client: ClientId,
    /// Whom it is for.
    pub audience: Service,
    /// The session it belongs to; people only.
    pub sid: Option<SessionId>,
    /// Who acts for the subject, with those who acted before.
    pub act: Option<Act>,
    /// Unix seconds that its end may not pass.
    pub not_after: Option<u64>,
}

/// A token that lacks only its signature.
#[derive(Debug, Clone)]
pub struct UnsignedToken {
    /// The claims, serialized.
    pub(crate) claims_json: Vec<u8>,
    /// The key to sign with.
    pub(crate) key: SealedKey,
    /// Its id.
    pub jti: Jti,
    /// Seconds that it lives.
    pub expires_in: u64,
}

impl UnsignedToken {
    /// Whether a signature takes microseconds and not a millisecond.
    pub fn is_signed_fast(&self) -> bool {
        self.key.alg != SigningAlg::Rs256
    }
}

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The audience has no key that signs.
    #[error("{0} has no active key")]
    NoKey(ServiceId),
    /// Not serializable; cannot happen with our own claims.
    #[error("claims: {0}")]
    Claims(#[from] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// RFC 9068, and our `epoch`, `sid` and `act`.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a ServiceId,
    client_id: &'a ClientId,
    iat: u64,
    exp: u64,
    jti: &'a Jti,
    epoch: u64,
    roles: &'a [RoleName],
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Act>,
}

/// Reads all that the token says in the snapshot `tx`.
///
/// # Errors
/// [`MintError`].
pub fn prepare(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    request: &MintRequest,
) -> Result<UnsignedToken, MintError> {
    let audience = &request.audience.id;
    let key = tx.active_key(audience)?.ok_or_else(|| MintError::NoKey(audience.clone()))?;
    let log = tx.log_state()?;
    let held = roles::held_at(tx, &request.subject, audience)?;
    let now = env.now.unix_seconds();
    let wanted = (now + access_ttl(settings, &request.audience).as_secs()).min(request.not_after.unwrap_or(u64::MAX));
    let Bounds { epoch, exp } = bounds(&log, wanted);
    let jti = Jti::generate(env.random);
    let claims = Claims {
        iss: &settings.issuer,
        sub: request.subject.as_str(),
        aud: audience,
        client_id: &request.client,
        iat: now,
        exp,
        jti: &jti,
        epoch,
        roles: &held,
        sid: request.sid.as_ref(),
        act: request.act.as_ref(),
    };
    Ok(UnsignedToken { claims_json: serde_json::to_vec(&claims)?, key, jti, expires_in: exp.saturating_sub(now) })
}

/// What the log allows a token to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The claim `epoch`.
    pub epoch: u64,
    /// The claim `exp`, Unix seconds.
    pub exp: u64,
}

/// `log` is of the snapshot that the rest of the token is read from: what is committed later is beyond its `epoch`. Its
/// ceiling is no higher than the one at the commit of any event that can hit the token, so the event is remembered for
/// as long as the token lives.
pub fn bounds(log: &LogState, wanted_exp: u64) -> Bounds {
    let exp = if mutant!(UntilFromClock) { wanted_exp } else { wanted_exp.min(log.exp_ceiling) };
    Bounds { epoch: log.head, exp }
}

fn access_ttl(settings: &Settings, service: &Service) -> Duration {
    let own = service.access_ttl_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
    own.unwrap_or(settings.access_ttl).min(MAX_ACCESS_TTL)
}
