//! The form of refresh tokens: `prt_`, the session, a number, and 256 random bits with a mark, with points between them.
//!
//! Session and number say where the token is kept, so that it is found beside the one before it. They are no secret
//! (access tokens have the session as `sid`) and prove nothing: only the hash of the whole text does, as long as it is kept.
//!
//! Each use of a token leaves a row, and a session may be refreshed for months. A used token is of interest only because
//! whoever presents it gives a leak away. For that its mark is enough, which only its session's key makes: a marked text
//! that is kept no more, and is before the newest one, was handed out and used. So its row can be forgotten.

use crate::env::{Env, Random};
use crate::id::SessionId;
use crate::secret::{PlainSecret, TokenKey};
use crate::settings::Settings;
use crate::store::{LastUse, RefreshToken, Session, StoreError, TokenPlace, Tx};

/// What every refresh token begins with.
pub const PREFIX: &str = "prt_";

/// A new token for a place, marked if its session has a key.
pub fn generate(place: &TokenPlace, key: Option<&TokenKey>, random: &dyn Random) -> PlainSecret {
    let token = PlainSecret::generate(&format!("{PREFIX}{}.{}.", place.session_id, place.number), random);
    match key {
        Some(key) => key.mark(&token),
        None => token,
    }
}

/// A new token of a session at this place, and what using the session now means for it.
///
/// # Errors
/// When the store fails.
pub(crate) fn hand_out(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    session: &Session,
    place: TokenPlace,
) -> Result<(PlainSecret, LastUse), StoreError> {
    let token = generate(&place, session.token_key.as_ref(), env.random);
    let last_use = use_now(env, settings, session);
    let (hash, created_at) = (token.hash(), env.now);
    tx.insert_refresh_token(&RefreshToken { place, hash, created_at, last_use, rotation: None })?;
    Ok((token, last_use))
}

/// The session is used now.
pub(crate) fn use_now(env: Env<'_>, settings: &Settings, session: &Session) -> LastUse {
    LastUse { at: env.now, idle_expires_at: env.now.plus(settings.session_idle_ttl).min(session.expires_at) }
}

/// What is known of a token that somebody presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// What is kept of it, whatever became of it since.
    Kept(RefreshToken),
    /// It was used, and so was its successor, longer ago than an honest client would send it again.
    Forgotten(SessionId),
}

impl Found {
    /// Whose token it is.
    pub fn session_id(&self) -> &SessionId {
        match self {
            Self::Kept(token) => &token.place.session_id,
            Self::Forgotten(session_id) => session_id,
        }
    }
}

/// Looks for a token that somebody presented.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &dyn Tx, presented: &PlainSecret) -> Result<Option<Found>, StoreError> {
    let hash = presented.hash();
    let Some(place) = place(presented.expose()) else {
        let kept = tx.refresh_token_without_place(&hash)?;
        return Ok(kept.filter(|token| token.hash == hash).map(Found::Kept));
    };
    if let Some(kept) = tx.refresh_token(&place)? {
        return Ok((kept.hash == hash).then_some(Found::Kept(kept)));
    }
    let key = tx.session(&place.session_id)?.and_then(|session| session.token_key);
    if !key.is_some_and(|key| key.has_marked(presented)) {
        return Ok(None);
    }
    // A loss of power may have taken the newest ones, if the database is not told to be careful.
    let newest = tx.newest_refresh_token(&place.session_id)?;
    let is_used = newest.is_some_and(|newest| place.number < newest.place.number);
    Ok(is_used.then_some(Found::Forgotten(place.session_id)))
}

/// Forgets, now and then, the tokens of a session that cannot be used any more. To be called when the token of this place is
/// used: so was the successor of each one before.
pub(crate) fn forget_used(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    session: &Session,
    place: &TokenPlace,
) -> Result<(), StoreError> {
    const EACH: i64 = 16;
    if session.token_key.is_none() || place.number % EACH != 0 {
        return Ok(());
    }
    tx.forget_used_refresh_tokens(&session.id, env.now.minus(settings.refresh_grace))
}

/// The place that a text names, if it has the form.
fn place(text: &str) -> Option<TokenPlace> {
    let (rest, _secret) = text.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let (session, number) = rest.rsplit_once('.')?;
    // A sign or a leading zero would be another text for the same place.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || (number.len() > 1 && number.starts_with('0')) {
        return None;
    }
    Some(TokenPlace { session_id: session.parse().ok()?, number: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::env::SystemRandom;

    #[test]
    fn a_token_names_its_place() {
        let key = TokenKey::generate(&SystemRandom);
        for number in [0, 1, 10, i64::MAX] {
            let at = TokenPlace { session_id: SessionId::generate(&SystemRandom), number };
            for key in [None, Some(&key)] {
                let token = generate(&at, key, &SystemRandom);
                assert_eq!(place(token.expose()).as_ref(), Some(&at), "{}", token.expose());
            }
        }
    }

    #[test]
    fn other_texts_name_none() {
        for text in [
            "",
            "prt_",
            "prt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "prt_s_1.7",
            "prt_s_1.-7.x",
            "prt_s_1.+7.x",
            "prt_s_1.07.x",
            "prt_s_1..x",
            "prt_s_1.9223372036854775808.x",
            "prt_u_1.7.x",
            "prt_.7.x",
            "psk_s_1.7.x",
            "s_1.7.x",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_place_is_named_by_one_text_only(text in "(prt_)?(s_)?[a-z0-9._+-]{0,12}[.][0-9+-]{0,4}[.][a-z]{0,3}") {
            if let Some(TokenPlace { session_id, number }) = place(&text) {
                let (_, secret) = text.rsplit_once('.').unwrap();
                prop_assert_eq!(format!("{PREFIX}{session_id}.{number}.{secret}"), text);
            }
        }
    }
}
