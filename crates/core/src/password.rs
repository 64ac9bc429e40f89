//! Passwords: what may be one (NIST SP 800-63B-4), and argon2id (RFC 9106).

use std::fmt;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::env::Random;
use crate::settings::{Argon2Settings, Settings};

/// A password as somebody typed it, after NFKC. It is never printed and leaves no copy behind.
pub struct Password(Zeroizing<String>);

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
}

/// The longest input that is looked at, in bytes; NFKC can make a text many times longer.
const MAX_INPUT_BYTES: usize = 1024;

impl Password {
    /// A password to sign in with: any text that could have been accepted once, whatever today's rules are.
    ///
    /// `None` for a text so long that it cannot be anybody's password.
    pub fn to_check(text: &str) -> Option<Self> {
        (text.len() <= MAX_INPUT_BYTES).then(|| Self(Zeroizing::new(text.nfkc().collect())))
    }

    /// A new password, by the rules: length in code points after NFKC, no composition rules.
    ///
    /// # Errors
    /// Names the limit that was missed.
    pub fn to_set(text: &str, settings: &Settings) -> Result<Self, PasswordError> {
        let too_long = PasswordError::TooLong(settings.password_max_length);
        let password = Self::to_check(text).ok_or(too_long)?;
        let length = password.0.chars().count();
        if length < settings.password_min_length {
            return Err(PasswordError::TooShort(settings.password_min_length));
        }
        if length > settings.password_max_length {
            return Err(too_long);
        }
        Ok(password)
    }
}

/// The argon2id parameters were refused; the text names the one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argon2: {0}")]
pub struct HasherError(String);

/// Hashes and checks passwords. Slow on purpose: never call it on a thread that serves requests.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    /// What a sign-in of an unknown person is checked against, so that it takes as long as a real one.
    decoy: String,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher with these parameters.
    ///
    /// # Errors
    /// When argon2 does not allow them.
    pub fn new(settings: Argon2Settings, random: &dyn Random) -> Result<Self, HasherError> {
        let params = Params::new(settings.m_kib, settings.t, settings.p, None)
            .map_err(|error| HasherError(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hasher = Self { argon2, decoy: String::new() };
        let mut nobody = Zeroizing::new([0_u8; 32]);
        random.fill(nobody.as_mut());
        let nobody = Password(Zeroizing::new(nobody.iter().map(|byte| char::from(byte % 26 + b'a')).collect()));
        hasher.decoy = hasher.hash(&nobody, random)?;
        Ok(hasher)
    }

    /// A new hash in PHC form, salted with 128 random bits.
    ///
    /// # Errors
    /// When memory for argon2 cannot be had.
    pub fn hash(&self, password: &Password, random: &dyn Random) -> Result<String, HasherError> {
        let mut salt = [0_u8; 16];
        random.fill(&mut salt);
        self.argon2
            .hash_password_with_salt(password.0.as_bytes(), &salt)
            .map(|hash| hash.to_string())
            .map_err(|error| HasherError(error.to_string()))
    }

    /// Whether the password is the one behind `hash`. `None` stands for nobody: the work is the same, the answer no.
    pub fn check(&self, password: &Password, hash: Option<&str>) -> bool {
        let matches = self.argon2.verify_password(password.0.as_bytes(), hash.unwrap_or(&self.decoy)).is_ok();
        matches && hash.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;

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
        assert!(Password::to_set(&"ж".repeat(15), &settings).is_ok());
        assert_eq!(Password::to_set(&"ж".repeat(14), &settings).unwrap_err(), PasswordError::TooShort(15));
        assert_eq!(Password::to_set(&"a".repeat(129), &settings).unwrap_err(), PasswordError::TooLong(128));
        assert_eq!(Password::to_set(&"a".repeat(5000), &settings).unwrap_err(), PasswordError::TooLong(128));
        assert!(Password::to_check(&"a".repeat(1025)).is_none());
    }
}
