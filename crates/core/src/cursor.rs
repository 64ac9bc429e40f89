//! Where a page of a list begins, as it is handed out: sealed, so that only what was handed out comes back.
//!
//! A cursor is the sort key of the last item that was shown. Sealed under the key-encryption key and bound to its list, one
//! that was made up, changed or taken from another list is told from one of ours, and nobody comes to depend on its form.

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::keys::{Kek, KekError};

/// Longer texts are no cursors of ours.
const MAX_TEXT: usize = 1024;

/// The cursor behind the item with this sort key, in the list with this address.
///
/// # Errors
/// [`KekError::Algorithm`].
pub fn seal(kek: &Kek, list: &str, key: &str) -> Result<String, KekError> {
    Ok(Base64UrlUnpadded::encode_string(&kek.seal(&context(list), key.as_bytes())?))
}

/// The sort key that a cursor of this list holds; `None` for what is none.
pub fn open(kek: &Kek, list: &str, cursor: &str) -> Option<String> {
    if cursor.len() > MAX_TEXT {
        return None;
    }
    let sealed = Base64UrlUnpadded::decode_vec(cursor).ok()?;
    let key = kek.open(&context(list), &sealed).ok()?;
    String::from_utf8(key.to_vec()).ok()
}

fn context(list: &str) -> String {
    format!("propusk cursor v1/{list}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;

    #[test]
    fn only_what_was_handed_out_for_this_list_comes_back() {
        let kek = Kek::from_text(&Kek::generate_text(&SystemRandom)).unwrap();
        let cursor = seal(&kek, "/users", "u_1").unwrap();
        assert_eq!(open(&kek, "/users", &cursor).as_deref(), Some("u_1"));
        assert!(!cursor.contains("u_1"));
        assert_eq!(open(&kek, "/clients", &cursor), None);
        let other = Kek::from_text(&Kek::generate_text(&SystemRandom)).unwrap();
        assert_eq!(open(&other, "/users", &cursor), None);
        for n in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[n] = if changed[n] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&kek, "/users", std::str::from_utf8(&changed).unwrap()), None, "byte {n}");
        }
        for text in ["", "u_1", "!", &cursor[..cursor.len() - 1], &"A".repeat(5_000)] {
            assert_eq!(open(&kek, "/users", text), None, "{text}");
        }
    }
}
