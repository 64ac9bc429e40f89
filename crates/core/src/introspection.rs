//! RFC 7662: whether a token is active, for those who may know.

use propusk_verify::check::CheckItem;
use propusk_verify::token::VerifiedToken;
use serde::Serialize;

use crate::env::Env;
use crate::id::{ServiceId, Subject, UserId};
use crate::log::{self, Standing};
use crate::refresh_token::{self, Found};
use crate::roles;
use crate::secret::PlainSecret;
use crate::sessions;
use crate::store::{Client, RefreshToken, StoreError, Tx};

/// What an active token says. Anything else is answered `{"active":false}` and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Active {
    /// Always true.
    pub active: bool,
    /// Subject.
    pub sub: String,
    /// The person's username, or the client's id.
    pub username: String,
    /// Who got it.
    pub client_id: String,
    /// Whom it is for; refresh tokens are for nobody but us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Issuer.
    pub iss: String,
    /// End, unix seconds.
    pub exp: u64,
    /// Beginning, unix seconds.
    pub iat: u64,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Current roles at `aud`.
    pub roles: Vec<String>,
    /// `Bearer` or `refresh_token`.
    pub token_type: &'static str,
}

/// An access token whose signature, issuer, audience and times were checked. A service may ask about tokens for
/// itself, a client about its own.
///
/// # Errors
/// When the store fails.
pub fn access_token(tx: &dyn Tx, asking: &Client, token: &VerifiedToken) -> Result<Option<Active>, StoreError> {
    let claims = token.claims();
    if claims.aud != asking.id.as_str() && claims.client_id != asking.id.as_str() {
        return Ok(None);
    }
    if log::floor_has_passed(tx, claims.exp)? {
        return Ok(None);
    }
    if log::standing(tx, &CheckItem::of(token))? != Standing::Good {
        return Ok(None);
    }
    let (Ok(subject), Ok(audience)) = (claims.sub.parse::<Subject>(), claims.aud.parse::<ServiceId>()) else {
        return Ok(None);
    };
    let roles = roles::held_at(tx, &subject, &audience)?.iter().map(ToString::to_string).collect();
    let Some(username) = username(tx, &subject)? else { return Ok(None) };
    Ok(Some(Active {
        active: true,
        sub: claims.sub.clone(),
        username,
        client_id: claims.client_id.clone(),
        aud: Some(claims.aud.clone()),
        iss: claims.iss.clone(),
        exp: claims.exp,
        iat: claims.iat,
        jti: Some(claims.jti.clone()),
        sid: claims.sid.clone(),
        scope: claims.scope.clone(),
        roles,
        token_type: "Bearer",
    }))
}

/// A refresh token; only its own client may ask. One that was used is not active any more.
///
/// # Errors
/// When the store fails.
pub fn refresh_token(
    tx: &dyn Tx,
    env: Env<'_>,
    issuer: &str,
    asking: &Client,
    presented: &PlainSecret,
) -> Result<Option<Active>, StoreError> {
    let Some(Found::Kept(token @ RefreshToken { rotation: None, .. })) = refresh_token::find(tx, presented)? else {
        return Ok(None);
    };
    let Some(session) = tx.session(&token.place.session_id)?.filter(|session| session.client_id == asking.id) else {
        return Ok(None);
    };
    if !sessions::is_usable(tx, env, &session, &token.last_use)? {
        return Ok(None);
    }
    let Some(username) = username_of(tx, &session.user_id)? else { return Ok(None) };
    Ok(Some(Active {
        active: true,
        sub: session.user_id.to_string(),
        username,
        client_id: session.client_id.to_string(),
        aud: None,
        iss: issuer.to_owned(),
        exp: token.last_use.idle_expires_at.unix_seconds(),
        iat: token.created_at.unix_seconds(),
        jti: None,
        sid: Some(session.id.to_string()),
        scope: session.scope,
        roles: Vec::new(),
        token_type: "refresh_token",
    }))
}

fn username(tx: &dyn Tx, subject: &Subject) -> Result<Option<String>, StoreError> {
    match subject {
        Subject::User(id) => username_of(tx, id),
        Subject::Client(id) => Ok(Some(id.to_string())),
    }
}

fn username_of(tx: &dyn Tx, id: &UserId) -> Result<Option<String>, StoreError> {
    Ok(tx.user(id)?.map(|user| user.username))
}
