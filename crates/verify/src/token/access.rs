//! The checks of an access token, in the order in which they run.

use std::sync::Arc;
use std::time::Duration;

use super::claims::AccessClaims;
use super::form::UnverifiedToken;
use super::plain;
use crate::jose::{Alg, JsonError, KeyRing, VerifyingKey, parse_object};
use crate::reason::Reason;

/// Whose tokens are taken, and for whom they have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The one issuer, compared exactly.
    pub issuer: String,
    /// Our own service id, compared exactly.
    pub audience: String,
    /// How far the issuer's wall clock and ours may differ, for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
}

/// A token whose every check passed. Only [`verify_access_token`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    claims: AccessClaims,
    kid: Arc<str>,
    alg: Alg,
}

impl VerifiedToken {
    /// What it says.
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// The key that signed it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn shared_kid(&self) -> &Arc<str> {
        &self.kid
    }

    /// The algorithm, as its header names it.
    pub fn alg(&self) -> Alg {
        self.alg
    }
}

/// Checks an access token (RFC 9068 section 4, RFC 8725) against a key ring, at `now_unix` seconds.
///
/// It is a pure function of its arguments. Whether the token was revoked, it cannot tell: see [`crate::Verifier`].
///
/// # Errors
/// The first [`Reason`] that applies. The end of its life is the last check, so an expired token is one that was
/// good.
pub fn verify_access_token(
    raw: &str,
    ring: &KeyRing,
    profile: &Profile,
    now_unix: u64,
) -> Result<VerifiedToken, Reason> {
    let token = UnverifiedToken::parse(raw)?;
    token.check_kind()?;
    let alg = token.alg()?;
    let kid = token.kid()?;
    let key = ring.get(kid).ok_or(Reason::KidUnknown)?;
    check_signature(&token, key, alg)?;
    let claims = parse_claims(&token)?;
    check_claims(&claims, profile, now_unix)?;
    check_expiry(claims.exp, profile, now_unix)?;
    Ok(VerifiedToken { claims, kid: Arc::clone(kid), alg })
}

/// The key decides the algorithm; the header only has to agree.
fn check_signature(token: &UnverifiedToken<'_>, key: &VerifyingKey, alg: Alg) -> Result<(), Reason> {
    if !key.accepts(alg) {
        return Err(Reason::AlgKeyMismatch);
    }
    let is_valid = key.verify(alg, token.signing_input().as_bytes(), token.signature());
    if is_valid { Ok(()) } else { Err(Reason::Signature) }
}

fn parse_claims(token: &UnverifiedToken<'_>) -> Result<AccessClaims, Reason> {
    if let Some(claims) = plain::claims(token.payload()) {
        return Ok(claims);
    }
    let claims = parse_object(token.payload()).map_err(|error| match error {
        JsonError::Syntax => Reason::ClaimsJson,
        JsonError::Duplicate => Reason::ClaimsDuplicate,
    })?;
    AccessClaims::read(&claims)
}

/// Issuer, audience and the beginning of its life.
fn check_claims(claims: &AccessClaims, profile: &Profile, now_unix: u64) -> Result<(), Reason> {
    if claims.iss != profile.issuer {
        return Err(Reason::IssWrong);
    }
    if claims.aud != profile.audience {
        return Err(Reason::AudWrong);
    }
    let latest = now_unix.saturating_add(profile.leeway.as_secs());
    if claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Reason::NbfFuture);
    }
    if claims.iat > latest {
        return Err(Reason::IatFuture);
    }
    Ok(())
}

/// A token holds while `now < exp + leeway` (RFC 7519 section 4.1.4).
pub(crate) fn check_expiry(exp: u64, profile: &Profile, now_unix: u64) -> Result<(), Reason> {
    let end = exp.saturating_add(profile.leeway.as_secs());
    if now_unix < end { Ok(()) } else { Err(Reason::ExpPast) }
}

#[cfg(test)]
pub(crate) fn verified() -> VerifiedToken {
    let text = |text: &str| text.to_owned();
    let claims = AccessClaims {
        iss: text("i"),
        sub: text("u_1"),
        aud: text("cars"),
        client_id: text("gateway"),
        iat: 1,
        exp: 2,
        nbf: None,
        jti: text("t"),
        epoch: 0,
        roles: Vec::new(),
        scope: None,
        sid: None,
        act: None,
    };
    VerifiedToken { claims, kid: "k".into(), alg: Alg::EdDsa }
}
