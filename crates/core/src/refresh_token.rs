//! The form of refresh tokens: `prt_`, the session, a number, and 256 random bits, with points between them.
//!
//! Session and number say where the token is kept, so that it is found beside the one before it. They are no secret
//! (access tokens have the session as `sid`) and prove nothing: only the hash of the whole text does.

use crate::env::Random;
use crate::secret::PlainSecret;
use crate::store::{RefreshToken, StoreError, TokenPlace, Tx};

/// What every refresh token begins with.
pub const PREFIX: &str = "prt_";

/// A new token for a place.
pub fn generate(place: &TokenPlace, random: &dyn Random) -> PlainSecret {
    PlainSecret::generate(&format!("{PREFIX}{}.{}.", place.session_id, place.number), random)
}

/// What is kept of a token that somebody presented, whatever became of it since.
///
/// # Errors
/// When the store fails.
pub fn find(tx: &dyn Tx, presented: &PlainSecret) -> Result<Option<RefreshToken>, StoreError> {
    let hash = presented.hash();
    let found = match place(presented.expose()) {
        Some(place) => tx.refresh_token(&place)?,
        None => tx.refresh_token_without_place(&hash)?,
    };
    Ok(found.filter(|token| token.hash == hash))
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
    use crate::id::SessionId;

    #[test]
    fn a_token_names_its_place() {
        for number in [0, 1, 10, i64::MAX] {
            let at = TokenPlace { session_id: SessionId::generate(&SystemRandom), number };
            let token = generate(&at, &SystemRandom);
            assert_eq!(place(token.expose()), Some(at), "{}", token.expose());
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
