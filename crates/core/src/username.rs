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

/// The form in which a username is stored, compared and shown: `Alice` and `alice` are one.
///
/// # Errors
/// Names what a username has to be.
pub fn stored_form(text: &str) -> Result<String, UsernameError> {
    if text.len() > 64 * 4 {
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
        // A Cyrillic letter that looks like a Latin one.
        assert_eq!(stored_form("\u{430}lice"), Err(UsernameError::Scripts));
    }
}
