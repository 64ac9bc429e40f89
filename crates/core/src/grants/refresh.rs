//! RFC 6749 section 6 with rotation: each use of a refresh token yields its one successor.
//!
//! A client whose answer was lost, or that refreshes in parallel, presents a token that was used before. Within
//! the grace window it gets the same successor again, used or not; later only a client that authenticated does, and
//! only while the successor itself was never used. Any other replay, and any by another client, means that two parties
//! hold the token: the whole family ends. The successor is kept sealed under a key that only the presented token yields, so
//! the database alone gives no token away.

use super::{GrantError, TokenSet, expect_allowed};
use crate::audit::Actor;
use crate::env::Env;
use crate::id::{ClientId, ServiceId, Subject};
use crate::mint::{self, MintRequest};
use crate::refresh_token::{self, Found};
use crate::secret::PlainSecret;
use crate::sessions;
use crate::settings::Settings;
use crate::store::{
    AuditEntry, Client, GrantType, LastUse, RefreshToken, Rotation, Service, Session, StoreError, TokenPlace, Tx,
};
use crate::target::{self, Target};

/// Who presents a refresh token.
#[derive(Debug, Clone)]
pub enum Presenter {
    /// A client that authenticated.
    Client(Client),
    /// The JSON calls, where the token is all there is; its default audience.
    AuthApi {
        /// The built-in client.
        client: ClientId,
        /// The authority as a service.
        default_audience: ServiceId,
    },
}

impl Presenter {
    fn client_id(&self) -> &ClientId {
        match self {
            Self::Client(client) => &client.id,
            Self::AuthApi { client, .. } => client,
        }
    }

    fn is_authenticated(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    fn target(&self, tx: &dyn Tx, target: &Target) -> Result<Service, GrantError> {
        Ok(match self {
            Self::Client(client) => target::of_client(tx, client, target)?,
            Self::AuthApi { default_audience, .. } => target::of_any(tx, target, default_audience)?,
        })
    }
}

/// What became of a presented token. Both are to be committed.
#[derive(Debug)]
pub enum Refreshed {
    /// New tokens.
    Tokens(Box<TokenSet>),
    /// It was replayed: its family has ended. The position in the log to wait for.
    FamilyEnded(u64),
}

/// Uses a refresh token.
///
/// # Errors
/// [`GrantError`]; then nothing may be committed.
pub fn grant(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    actor: &Actor,
    presenter: &Presenter,
    presented: &PlainSecret,
    target: &Target,
) -> Result<Refreshed, GrantError> {
    if let Presenter::Client(client) = presenter {
        expect_allowed(client, GrantType::RefreshToken)?;
    }
    let found = refresh_token::find(tx, presented)?.ok_or(GrantError::InvalidGrant("unknown refresh token"))?;
    let session = tx.session(found.session_id())?.ok_or(GrantError::InvalidGrant("unknown session"))?;
    let newest = match &found {
        Found::Kept(token) if token.rotation.is_none() => Some(token.clone()),
        _ => tx.newest_refresh_token(&session.id)?,
    };
    let newest = newest.ok_or(GrantError::InvalidGrant("a session without tokens"))?;
    if !sessions::is_usable(tx, env, &session, &newest.last_use)? {
        return Err(GrantError::InvalidGrant("the session has ended"));
    }
    let Found::Kept(token) = found else {
        return Ok(Refreshed::FamilyEnded(end_family(tx, env, actor, &session)?));
    };
    if session.client_id != *presenter.client_id() {
        // An honest client never has it. Once it was used, it is no mistake either: it has leaked.
        return match token.rotation {
            None => Err(GrantError::InvalidGrant("another client's refresh token")),
            Some(_) => Ok(Refreshed::FamilyEnded(end_family(tx, env, actor, &session)?)),
        };
    }
    // Whatever else the request asks for.
    let again = match &token.rotation {
        None => None,
        Some(rotation) => match replayed(tx, env, settings, presenter, presented, &token.place, rotation)? {
            Some(successor) => Some(successor),
            None => return Ok(Refreshed::FamilyEnded(end_family(tx, env, actor, &session)?)),
        },
    };
    let audience = presenter.target(tx, target)?;
    let (successor, last_use) = match again {
        None => rotate(tx, env, settings, &session, &token, presented)?,
        Some(successor) => (successor, touch(tx, env, settings, &session, &newest)?),
    };
    let request = MintRequest {
        subject: Subject::User(session.user_id.clone()),
        client: session.client_id.clone(),
        audience,
        sid: Some(session.id.clone()),
        act: None,
        not_after: Some(session.expires_at.unix_seconds()),
    };
    let access = mint::prepare(tx, env, settings, &request)?;
    Ok(Refreshed::Tokens(Box::new(TokenSet::with_refresh(access, successor, last_use, env))))
}

/// First use: the successor takes its place.
fn rotate(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    session: &Session,
    token: &RefreshToken,
    presented: &PlainSecret,
) -> Result<(PlainSecret, LastUse), GrantError> {
    let (successor, last_use) = refresh_token::hand_out(tx, env, settings, session, token.place.next())?;
    let sealed_successor = presented.seal(&successor).map_err(StoreError::failed)?;
    if !tx.rotate_refresh_token(&token.place, &Rotation { at: env.now, sealed_successor })? {
        return Err(StoreError::failed(UsedMeanwhile).into());
    }
    refresh_token::forget_used(tx, env, settings, session, &token.place)?;
    Ok((successor, last_use))
}

/// A later use: the same successor if the replay is an honest one, `None` if it is not.
fn replayed(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    presenter: &Presenter,
    presented: &PlainSecret,
    place: &TokenPlace,
    rotation: &Rotation,
) -> Result<Option<PlainSecret>, GrantError> {
    let in_grace = env.now.since(rotation.at) <= settings.refresh_grace;
    let successor_unused = tx.refresh_token(&place.next())?.is_some_and(|token| token.rotation.is_none());
    let honest = in_grace || (presenter.is_authenticated() && successor_unused);
    if !honest {
        return Ok(None);
    }
    Ok(Some(presented.open(&rotation.sealed_successor).map_err(StoreError::failed)?))
}

fn end_family(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, session: &Session) -> Result<u64, GrantError> {
    tracing::warn!(session = %session.id, "a used refresh token came again: its session has ended");
    let entry = AuditEntry { subject: session.user_id.to_string(), ..actor.entry("refresh_reuse", "session_ended") };
    tx.append_audit(&entry, env.now)?;
    let seq = sessions::end(tx, env, actor, "session_ended", &session.id)?;
    Ok(seq.unwrap_or_default())
}

/// A replay uses the session, too.
fn touch(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    session: &Session,
    newest: &RefreshToken,
) -> Result<LastUse, GrantError> {
    let last_use = refresh_token::use_now(env, settings, session);
    tx.touch_refresh_token(&newest.place, last_use)?;
    Ok(last_use)
}

/// A store whose transactions do not see each other has to run this one again.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the refresh token was used by another transaction meanwhile")]
struct UsedMeanwhile;
