//! The signature algorithms that exist for us. What is not in this list cannot be asked for.

use std::fmt;
use std::str::FromStr;

/// A JWS algorithm (RFC 7518, RFC 8037, RFC 9864), by its exact, case-sensitive header name.
///
/// There is no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alg {
    /// `EdDSA`: the older name for Ed25519, which most libraries know.
    EdDsa,
    /// `Ed25519`: the fully specified name (RFC 9864).
    Ed25519,
    /// `ES256`: ECDSA on P-256 with SHA-256.
    Es256,
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256, keys of at least 2048 bits.
    Rs256,
    /// `HS256`: HMAC with SHA-256, for an audience that keeps a secret of its own.
    Hs256,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::EdDsa, Self::Ed25519, Self::Es256, Self::Rs256, Self::Hs256];

    /// The name in a JWS header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

/// A name that is on no allowlist of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of EdDSA, Ed25519, ES256, RS256, HS256")]
pub struct UnknownAlg;

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Alg {
    type Err = UnknownAlg;

    fn from_str(name: &str) -> Result<Self, UnknownAlg> {
        Self::ALL.into_iter().find(|alg| alg.name() == name).ok_or(UnknownAlg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for alg in Alg::ALL {
            assert_eq!(alg.to_string().parse(), Ok(alg));
        }
        for other in ["none", "None", "nONe", "", "eddsa", "EDDSA", "ed25519", "es256", "HS512", "RS256 ", "PS256"] {
            assert_eq!(other.parse::<Alg>(), Err(UnknownAlg), "{other}");
        }
    }
}
