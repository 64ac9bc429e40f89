//! Making hashes, and checking passwords against those that are stored.

use std::fmt;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::{Password, StoredHash, stored};
use crate::env::Random;
use crate::settings::Argon2Settings;

/// The argon2id parameters were refused; the text names the one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argon2: {0}")]
pub struct HasherError(String);

/// What became of a check.
#[derive(Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether it was the password.
    pub is_right: bool,
    /// A hash to store in place of the one it was checked against, which was made in another way than ours are today.
    pub renewed: Option<String>,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").field("is_right", &self.is_right).finish_non_exhaustive()
    }
}

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
        let nobody = Zeroizing::new(nobody.iter().map(|byte| char::from(byte % 26 + b'a')).collect());
        hasher.decoy = hasher.hash(&Password { normal: nobody, typed: None }, random)?;
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
            .hash_password_with_salt(password.normal(), &salt)
            .map(|hash| hash.to_string())
            .map_err(|error| HasherError(error.to_string()))
    }

    /// Whether the password is the one behind `hash`. `None` stands for nobody: the work is the same, the answer no.
    ///
    /// That holds for hashes as we make them. One that somebody else made takes the time that it takes, so who has not
    /// signed in since an import, or since parameters changed, can be told from nobody.
    pub fn check(&self, password: &Password, hash: Option<&str>) -> bool {
        match hash.and_then(|hash| StoredHash::parse(hash).ok()) {
            Some(hash) if hash.is_foreign() => password.forms().any(|form| hash.matches(form)),
            Some(hash) => hash.matches(password.normal()),
            None => {
                if let Ok(decoy) = StoredHash::parse(&self.decoy) {
                    std::hint::black_box(decoy.matches(password.normal()));
                }
                false
            }
        }
    }

    /// Frees what this thread keeps from one check to the next, 19 MiB by default: for when there is nothing to check.
    pub fn free_memory() {
        stored::free_memory();
    }

    /// Checks as [`Self::check`] does; where the password is right and its hash is not what we would make today, makes
    /// a new one. That this fails is no reason to refuse anybody.
    pub fn check_and_renew(&self, password: &Password, hash: Option<&str>, random: &dyn Random) -> Checked {
        let is_right = self.check(password, hash);
        let is_old = is_right && hash.is_some_and(|hash| !self.is_current(hash));
        let renewed = if is_old { self.hash(password, random).ok() } else { None };
        Checked { is_right, renewed }
    }

    /// Whether a hash is as we would make it today.
    pub fn is_current(&self, hash: &str) -> bool {
        StoredHash::parse(hash).is_ok_and(|hash| hash.is_argon2id_with(self.argon2.params()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SystemRandom;

    fn hasher(t: u32) -> PasswordHasher {
        PasswordHasher::new(Argon2Settings { m_kib: 8, t, p: 1 }, &SystemRandom).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::to_check(text).unwrap()
    }

    #[test]
    fn a_hash_of_other_parameters_is_renewed_and_no_other() {
        let (before, now) = (hasher(1), hasher(2));
        let right = password("correct horse battery staple");
        let old = before.hash(&right, &SystemRandom).unwrap();
        let checked = now.check_and_renew(&right, Some(&old), &SystemRandom);
        assert!(checked.is_right);
        let renewed = checked.renewed.unwrap();
        assert!(renewed.starts_with("$argon2id$v=19$m=8,t=2,p=1$") && now.check(&right, Some(&renewed)), "{renewed}");
        let current = now.check_and_renew(&right, Some(&renewed), &SystemRandom);
        assert_eq!(current, Checked { is_right: true, renewed: None });
        for (typed, hash) in [("wrong", Some(old.as_str())), ("correct horse battery staple", None)] {
            let checked = now.check_and_renew(&password(typed), hash, &SystemRandom);
            assert_eq!(checked, Checked { is_right: false, renewed: None }, "{typed}");
        }
    }

    /// Others hash what was typed; we hash what it is after NFKC.
    #[test]
    fn a_foreign_hash_may_be_of_either_form() {
        let (typed, normal) = ("ﬁne A\u{30a}ngstro\u{308}m", "fine \u{c5}ngstr\u{f6}m");
        for hashed in [typed, normal] {
            let foreign = bcrypt::hash_with_salt(hashed, 4, [3; 16]).unwrap().to_string();
            let checked = hasher(1).check_and_renew(&password(typed), Some(&foreign), &SystemRandom);
            let renewed = checked.renewed.expect(hashed);
            assert!(
                hasher(1).check(&password(typed), Some(&renewed)) && hasher(1).check(&password(normal), Some(&renewed))
            );
        }
        let of_typed = bcrypt::hash_with_salt(typed, 4, [3; 16]).unwrap().to_string();
        assert!(
            !hasher(1).check(&password(normal), Some(&of_typed)),
            "what was typed cannot be guessed from the normal form"
        );
    }

    #[test]
    fn what_is_no_hash_is_nobody_s() {
        assert!(!hasher(1).check(&password("x"), Some("x")));
        assert!(!hasher(1).check(&password(""), Some("")));
    }
}
