//! Passwords: what may be one (NIST SP 800-63B-4), argon2id (RFC 9106), and the hashes that others made.
//!
//! A password is its NFKC form, however it was typed. Its length is counted in code points; there are no rules about
//! what it is made of, but what everybody tries first is refused ([`blocklist`]).

pub mod blocklist;
mod hasher;
mod stored;

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

pub use blocklist::Blocklist;
pub use hasher::{Checked, HasherError, PasswordHasher};
pub use stored::{HashError, StoredHash};

use crate::settings::Settings;

/// A password as somebody typed it, and after NFKC. It is never printed and leaves no copy behind.
pub struct Password {
    /// After NFKC: what we hash.
    normal: Zeroizing<String>,
    /// As it was typed, where that is not the same: others may have hashed that.
    typed: Option<Zeroizing<String>>,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a text cannot be a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few code points.
    #[error("has at least {0} characters")]
    TooShort(usize),
    /// Too many code points.
    #[error("has at most {0} characters")]
    TooLong(usize),
    /// It is what an attacker tries first.
    #[error("is none of the commonly used ones, and none that is made of them or of one's own name")]
    Common,
}

/// What the service is called, which is a bad password for it.
const SERVICE_NAME: &str = "propusk";

/// The longest input that is looked at, in bytes; NFKC can make a text many times longer.
const MAX_INPUT_BYTES: usize = 1024;

impl Password {
    /// A password to sign in with: any text that could have been accepted once, whatever today's rules are.
    ///
    /// `None` for a text so long that it cannot be anybody's password.
    pub fn to_check(text: &str) -> Option<Self> {
        if text.len() > MAX_INPUT_BYTES {
            return None;
        }
        let normal = Zeroizing::new(text.nfkc().collect::<String>());
        let typed = (*normal != text).then(|| Zeroizing::new(text.to_owned()));
        Some(Self { normal, typed })
    }

    /// A new password, by the rules: length in code points after NFKC, not a common one, no composition rules. `names`
    /// are those of its owner; they are no passwords of theirs, and neither is the name of the service.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn to_set(text: &str, settings: &Settings, names: &[&str]) -> Result<Self, PasswordError> {
        let too_long = PasswordError::TooLong(settings.password_max_length);
        let password = Self::to_check(text).ok_or(too_long)?;
        let length = password.normal.chars().count();
        if length < settings.password_min_length {
            return Err(PasswordError::TooShort(settings.password_min_length));
        }
        if length > settings.password_max_length {
            return Err(too_long);
        }
        let host = settings.issuer.split_once("://").map_or(settings.issuer.as_str(), |(_, host)| host);
        let names: Vec<&str> = names.iter().copied().chain([SERVICE_NAME, host]).collect();
        if settings.password_blocklist.expects(&password.normal, &names) {
            return Err(PasswordError::Common);
        }
        Ok(password)
    }

    /// What we hash.
    fn normal(&self) -> &[u8] {
        self.normal.as_bytes()
    }

    /// What somebody else may have hashed: as we would, then as it was typed.
    fn forms(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.normal()).chain(self.typed.as_ref().map(|typed| typed.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;
    use crate::settings::Argon2Settings;

    fn hasher() -> PasswordHasher {
        PasswordHasher::new(Argon2Settings { m_kib: 8, t: 1, p: 1 }, &SystemRandom).unwrap()
    }

    #[test]
    fn only_the_right_password_matches() {
        let hasher = hasher();
        let right = Password::to_check("correct horse battery staple").unwrap();
        let hash = hasher.hash(&right, &SystemRandom).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(hasher.check(&right, Some(&hash)));
        assert!(!hasher.check(&Password::to_check("correct horse battery stapl").unwrap(), Some(&hash)));
        assert!(!hasher.check(&right, None));
        assert_ne!(hash, hasher.hash(&right, &SystemRandom).unwrap(), "salted");
    }

    #[test]
    fn one_password_has_one_form() {
        let hasher = hasher();
        let hash = hasher.hash(&Password::to_check("ﬁne \u{c5}ngstr\u{f6}m").unwrap(), &SystemRandom).unwrap();
        assert!(hasher.check(&Password::to_check("fine A\u{30a}ngstro\u{308}m").unwrap(), Some(&hash)));
    }

    #[test]
    fn lengths_count_code_points() {
        let settings = Settings::new("https://issuer.example");
        let set = |text: &str| Password::to_set(text, &settings, &[]).map(|_| ());
        assert_eq!(set(&"жы".repeat(8)), Ok(()));
        assert_eq!(set(&"жы".repeat(7)), Err(PasswordError::TooShort(15)));
        // One character that NFKC makes three of.
        assert_eq!(set("ﬃﬃﬃﬃﬃ"), Ok(()));
        assert_eq!(set(&"ab".repeat(65)), Err(PasswordError::TooLong(128)));
        assert_eq!(set(&"ab".repeat(2500)), Err(PasswordError::TooLong(128)));
        assert!(Password::to_check(&"a".repeat(1025)).is_none());
    }

    #[test]
    fn a_common_password_is_refused_and_no_composition_is_asked_for() {
        let own = Blocklist::of(["welcome at acme 2026"]);
        let settings = Settings { password_blocklist: own, ..Settings::new("https://issuer.example") };
        let set = |text: &str| Password::to_set(text, &settings, &["carol", "carol@example.org"]).map(|_| ());
        for common in [
            "passwordpassword",
            "Welcome at ACME 2026",
            "carolcarolcarol",
            "Carol@Example.org",
            "issuer.exampleissuer.example",
        ] {
            assert_eq!(set(common), Err(PasswordError::Common), "{common}");
        }
        for good in ["lower case letters only", "314159265358979323846", "жжжжжжжж жжжжжжжж ж"] {
            assert_eq!(set(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn nothing_of_a_password_is_printed() {
        assert_eq!(format!("{:?}", Password::to_check("ﬁsh and chips").unwrap()), "Password(…)");
    }
}
