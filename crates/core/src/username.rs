//! Usernames: RFC 8265 `UsernameCaseMapped`, 1 to 64 code points, letters of one script.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use unicode_script::{ScriptExtension, UnicodeScript as _};

/// Why a text cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Not 1 to 64 code points.
    #[error("has 1 to 64 characters")]
    Length,
    /// RFC 8265 forbids a character, or the directions are mixed.
    #[error("has only letters, digits and punctuation that RFC 8265 allows in usernames, and no spaces")]
    Characters,
    /// Letters of several scripts, which makes look-alikes.
    #[error("has letters of one script")]
    Scripts,
}

/// Longer texts are not looked at, in bytes. Composition makes them shorter: a letter may be typed as four code points.
const MAX_INPUT_BYTES: usize = 64 * 4 * 4;

/// The form in which a username is stored, compared and shown: `Alice` and `alice` are one.
///
/// # Errors
/// Names what a username has to be.
pub fn stored_form(text: &str) -> Result<String, UsernameError> {
    if text.len() > MAX_INPUT_BYTES {
        return Err(UsernameError::Length);
    }
    let name = UsernameCaseMapped::enforce(text)
        .map_err(|_| if text.is_empty() { UsernameError::Length } else { UsernameError::Characters })?;
    if !(1..=64).contains(&name.chars().count()) {
        return Err(UsernameError::Length);
    }
    let mut scripts = ScriptExtension::default();
    for letter in name.chars() {
        scripts.intersect_with(letter.script_extension());
    }
    if scripts.is_empty() {
        return Err(UsernameError::Scripts);
    }
    Ok(name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_do_not_make_two_people() {
        assert_eq!(stored_form("Alice").unwrap(), "alice");
        assert_eq!(stored_form("a\u{308}").unwrap(), stored_form("Ä").unwrap());
        assert_eq!(stored_form("ivan.petrov-2_x").unwrap(), "ivan.petrov-2_x");
        assert_eq!(stored_form("Иван99").unwrap(), "иван99");
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(stored_form(""), Err(UsernameError::Length));
        assert_eq!(stored_form(&"a".repeat(65)), Err(UsernameError::Length));
        assert!(stored_form(&"a".repeat(64)).is_ok());
        for bad in ["a b", "a\u{0}", "a\u{200d}b", " alice", "a\nb"] {
            assert_eq!(stored_form(bad), Err(UsernameError::Characters), "{bad:?}");
        }
    }

    #[test]
    fn letters_of_one_script() {
        // Letters of other scripts that look like Latin ones: Cyrillic, Greek, Armenian, Cherokee.
        for mixed in ["\u{430}lice", "alic\u{435}", "al\u{3b9}ce", "ali\u{441}e", "\u{578}ora", "\u{13aa}arl", "пaвел"]
        {
            assert_eq!(stored_form(mixed), Err(UsernameError::Scripts), "{mixed:?}");
        }
        for one in ["alice.b-9_c", "иван_9.2-", "γιάννης7", "עדה", "李明", "さくら", "zoë", "işıl"]
        {
            assert_eq!(stored_form(one).as_deref(), Ok(one), "{one:?}");
        }
    }

    #[test]
    fn case_is_mapped_as_unicode_says_and_nothing_is_guessed() {
        let same = |one: &str, other: &str| stored_form(one).unwrap() == stored_form(other).unwrap();
        assert!(same("STRA\u{1e9e}E", "straße") && !same("straße", "strasse") && same("STRASSE", "strasse"));
        // No locale's rules: `I` is `i`, and the dotless `ı` is a letter of its own.
        assert!(same("ILKER", "ilker") && !same("ılker", "ilker") && !same("İlker", "ilker"));
        // Full-width letters are the plain ones.
        assert!(same("ＡＬＩＣＥ９", "alice9"));
        for name in ["STRA\u{1e9e}E", "İlker", "ＡＬＩＣＥ", "ΣΊΣΥΦΟΣ", "Zoe\u{308}"] {
            let stored = stored_form(name).unwrap();
            assert_eq!(stored_form(&stored).as_deref(), Ok(stored.as_str()), "{name:?}: stored once, stored for ever");
        }
    }

    #[test]
    fn length_counts_code_points_as_they_are_stored() {
        for letter in ["a", "ж", "\u{10428}", "e\u{301}", "e\u{302}\u{301}"] {
            assert_eq!(stored_form(&letter.repeat(64)).unwrap().chars().count(), 64, "{letter:?}");
            assert_eq!(stored_form(&letter.repeat(65)), Err(UsernameError::Length), "{letter:?}");
        }
        // One code point becomes two.
        assert!(stored_form(&"İ".repeat(32)).is_ok());
        assert_eq!(stored_form(&"İ".repeat(33)), Err(UsernameError::Length));
        assert_eq!(stored_form(&"a".repeat(100_000)), Err(UsernameError::Length));
    }
}
