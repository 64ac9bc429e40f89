//! The form of refresh tokens: `prt_`, the session, a number, and 256 random bits, with points between them.
//!
//! Session and number say where the token is kept, so that it is found beside the one before it. They yield nothing: only
//! the hash of the whole text does.
//!
//! Each use of a token leaves a row, and a session may be refreshed for months. A used token is of interest only because
//! whoever presents it gives a leak away, and for that its number is enough: a session's numbers begin at a random one,
//! so who names one that was used has seen a token of that session. Its row is forgotten.

use crate::env::{Env, Random, Timestamp};
use crate::id::SessionId;
use crate::secret::PlainSecret;
use crate::settings::Settings;
use crate::store::{RefreshToken, Session, StoreError, TokenPlace, Tx};

/// What every refresh token begins with.
pub const PREFIX: &str = "prt_";

/// A new token for a place.
pub fn generate(place: &TokenPlace, random: &dyn Random) -> PlainSecret {
    PlainSecret::generate(&format!("{PREFIX}{}.{}.", place.session_id, place.number), random)
}

/// Sessions of earlier versions count from 0; nobody can be told from a guesser by their numbers.
const GUESSABLE_BELOW: i64 = 1 << 61;

/// Of the first token of a session; there is room for as many successors as anybody can ask for.
pub fn first_place(session_id: SessionId, random: &dyn Random) -> TokenPlace {
    let mut bits = [0; 8];
    random.fill(&mut bits);
    TokenPlace { session_id, number: (i64::from_be_bytes(bits) & (GUESSABLE_BELOW - 1)) | GUESSABLE_BELOW }
}

/// A new token of a session at this place, and until when it can be used.
///
/// # Errors
/// When the store fails.
pub(crate) fn hand_out(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    session: &Session,
    place: TokenPlace,
) -> Result<(PlainSecret, Timestamp), StoreError> {
    let (token, idle_expires_at) = (generate(&place, env.random), idle_limit(env, settings, session));
    let (hash, created_at) = (token.hash(), env.now);
    tx.insert_refresh_token(&RefreshToken { place, hash, created_at, idle_expires_at, rotation: None })?;
    Ok((token, idle_expires_at))
}

/// Until when a session that is used now may stay idle.
pub(crate) fn idle_limit(env: Env<'_>, settings: &Settings, session: &Session) -> Timestamp {
    env.now.plus(settings.session_idle_ttl).min(session.expires_at)
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
    let kept = match place(presented.expose()) {
        Some(place) => match tx.refresh_token(&place)? {
            None if place.number >= GUESSABLE_BELOW && tx.is_amid_refresh_tokens(&place)? => {
                return Ok(Some(Found::Forgotten(place.session_id)));
            }
            kept => kept,
        },
        None => tx.refresh_token_without_place(&hash)?,
    };
    Ok(kept.filter(|token| token.hash == hash).map(Found::Kept))
}

/// Forgets, now and then, the tokens of a session that cannot be used any more; its first one stays, for the numbers begin
/// there. To be called when the token of this place is used: so was the successor of each one before.
pub(crate) fn forget_used(
    tx: &mut dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    place: &TokenPlace,
) -> Result<(), StoreError> {
    const EACH: i64 = 16;
    if place.number < GUESSABLE_BELOW || place.number % EACH != 0 {
        return Ok(());
    }
    tx.forget_used_refresh_tokens(&place.session_id, env.now.minus(settings.refresh_grace))
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::env::SystemRandom;
    use crate::id::SessionId;

    #[test]
    fn a_token_names_its_place() {
        for number in [0, 1, 10, GUESSABLE_BELOW, i64::MAX] {
            let at = TokenPlace { session_id: SessionId::generate(&SystemRandom), number };
            let token = generate(&at, &SystemRandom);
            assert_eq!(place(token.expose()), Some(at), "{}", token.expose());
        }
    }

    #[test]
    fn numbers_begin_anywhere_in_the_upper_half() {
        let first = || first_place(SessionId::generate(&SystemRandom), &SystemRandom).number;
        let firsts: BTreeSet<i64> = (0..100).map(|_| first()).collect();
        assert_eq!(firsts.len(), 100);
        assert!(firsts.iter().all(|number| (GUESSABLE_BELOW..2 * GUESSABLE_BELOW).contains(number)), "{firsts:?}");
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
