//! A hash as it is stored: one of ours, or one that came with an import, in whatever way somebody else had made it.
//!
//! | kind | forms |
//! |---|---|
//! | argon2id, argon2i, argon2d | `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`; Django's `argon2$argon2id$…` |
//! | bcrypt | `$2a$`, `$2b$`, `$2y$`; Django's `bcrypt$$2b$…` |
//! | scrypt | `$scrypt$ln=17,r=8,p=1$SALT$HASH` |
//! | PBKDF2 with SHA-1, SHA-256, SHA-512 | `$pbkdf2-sha256$i=600000,l=32$SALT$HASH`, passlib's `$pbkdf2-sha256$29000$SALT$HASH`, Django's `pbkdf2_sha256$600000$SALT$HASH` |
//!
//! A hash names its own cost, and every attempt to sign in pays it. So [`StoredHash::parse`] only reads, and an import
//! refuses what [`StoredHash::expect_bounded`] does not let pass.

mod argon;
mod bcrypt;
mod pbkdf2;
mod phc;
mod scrypt;

#[cfg(test)]
mod tests;

use ::argon2::Params;

pub(super) use argon::free_memory;

/// Why a hash cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It is made in a way that is not known here.
    #[error("is of a kind that is not known; argon2, bcrypt, scrypt and PBKDF2 are")]
    UnknownKind,
    /// A part of it is not what its kind wants.
    #[error("is no {kind} hash: {problem}")]
    Malformed {
        /// The kind that it begins as.
        kind: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Each attempt to sign in would cost too much.
    #[error("costs too much to check: {what} is {is}, and at most {limit} is taken")]
    TooCostly {
        /// The parameter.
        what: &'static str,
        /// Its value.
        is: u64,
        /// The largest that is taken.
        limit: u64,
    },
}

impl HashError {
    fn malformed(kind: &'static str, problem: &'static str) -> Self {
        Self::Malformed { kind, problem }
    }

    /// Refuses a cost above `limit`.
    fn unless_within(what: &'static str, is: u64, limit: u64) -> Result<(), Self> {
        if is <= limit { Ok(()) } else { Err(Self::TooCostly { what, is, limit }) }
    }
}

/// A hash that was read.
#[derive(Debug, Clone)]
pub struct StoredHash(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Argon(argon::Argon),
    Bcrypt(bcrypt::Bcrypt),
    Scrypt(scrypt::Scrypt),
    Pbkdf2(pbkdf2::Pbkdf2),
}

/// No hash of any kind is longer.
const MAX_BYTES: usize = 1024;

impl StoredHash {
    /// Reads a hash of any kind.
    ///
    /// # Errors
    /// [`HashError::UnknownKind`], [`HashError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > MAX_BYTES {
            return Err(HashError::UnknownKind);
        }
        // Django writes the name of its own hasher before forms that have one themselves.
        let text = text.strip_prefix("bcrypt$").or_else(|| text.strip_prefix("argon2")).unwrap_or(text);
        let kind = text.strip_prefix('$').unwrap_or(text).split('$').next().unwrap_or_default();
        match kind {
            "argon2id" | "argon2i" | "argon2d" => argon::Argon::parse(text).map(Kind::Argon),
            "2a" | "2b" | "2y" => bcrypt::Bcrypt::parse(text).map(Kind::Bcrypt),
            "scrypt" => scrypt::Scrypt::parse(text).map(Kind::Scrypt),
            _ if kind.starts_with("pbkdf2") => pbkdf2::Pbkdf2::parse(text).map(Kind::Pbkdf2),
            _ => Err(HashError::UnknownKind),
        }
        .map(Self)
    }

    /// Refuses a hash that a single check of would take more than about a second or 256 MiB.
    ///
    /// # Errors
    /// [`HashError::TooCostly`].
    pub fn expect_bounded(&self) -> Result<(), HashError> {
        match &self.0 {
            Kind::Argon(hash) => hash.expect_bounded(),
            Kind::Bcrypt(hash) => hash.expect_bounded(),
            Kind::Scrypt(hash) => hash.expect_bounded(),
            Kind::Pbkdf2(hash) => hash.expect_bounded(),
        }
    }

    /// Whether this password is behind it.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match &self.0 {
            Kind::Argon(hash) => hash.matches(password),
            Kind::Bcrypt(hash) => hash.matches(password),
            Kind::Scrypt(hash) => hash.matches(password),
            Kind::Pbkdf2(hash) => hash.matches(password),
        }
    }

    /// Whether it cannot be one of ours, so that it may be of a text that is not in our form.
    pub(super) fn is_foreign(&self) -> bool {
        !matches!(&self.0, Kind::Argon(hash) if hash.is_like_ours())
    }

    /// Whether it is one as we make them with these parameters.
    pub(super) fn is_argon2id_with(&self, params: &Params) -> bool {
        matches!(&self.0, Kind::Argon(hash) if hash.is_like_ours() && hash.has(params))
    }
}
