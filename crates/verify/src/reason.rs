//! Every reason for which a request is not let through, with its stable code and the verdict that it leads to.

use std::fmt;

use crate::verdict::Verdict;

/// A claim or header member that can be missing, of the wrong type, or wrong.
macro_rules! claims {
    ($($name:ident $text:literal,)+) => {
        /// The claims that we read (RFC 9068, RFC 8693, and our `epoch` and `roles`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Claim {
            $(#[doc = concat!("`", $text, "`")] $name,)+
        }

        impl Claim {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in a token.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            const fn missing(self) -> &'static str {
                match self { $(Self::$name => concat!($text, ".missing"),)+ }
            }

            const fn mistyped(self) -> &'static str {
                match self { $(Self::$name => concat!($text, ".type"),)+ }
            }
        }
    };
}

claims! {
    Iss "iss",
    Sub "sub",
    Aud "aud",
    ClientId "client_id",
    Iat "iat",
    Exp "exp",
    Nbf "nbf",
    Jti "jti",
    Epoch "epoch",
    Roles "roles",
    Scope "scope",
    Sid "sid",
    Act "act",
}

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident $code:literal $verdict:ident,)+) => {
        /// Why a request is not let through.
        ///
        /// The reason is for our own logs and for `propusk token inspect`. What the client learns is only the
        /// [`Verdict`] that it leads to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
            /// A claim that has to be there is not.
            Missing(Claim),
            /// A claim is of the wrong JSON type, or an empty string.
            Type(Claim),
        }

        impl Reason {
            /// All of them.
            pub fn all() -> impl Iterator<Item = Self> {
                let of_claims = Claim::ALL.iter().flat_map(|claim| [Self::Missing(*claim), Self::Type(*claim)]);
                [$(Self::$name,)+].into_iter().chain(of_claims)
            }

            /// A stable, dotted name: what is looked at, then what is wrong with it.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                    Self::Missing(claim) => claim.missing(),
                    Self::Type(claim) => claim.mistyped(),
                }
            }

            /// What the client is told.
            pub const fn verdict(self) -> Verdict {
                match self {
                    $(Self::$name => Verdict::$verdict,)+
                    Self::Missing(_) | Self::Type(_) => Verdict::Invalid,
                }
            }
        }
    };
}

reasons! {
    /// No `Authorization` header.
    NoCredentials "credentials.none" None,
    /// An `Authorization` header of another scheme than Bearer.
    OtherScheme "credentials.scheme" None,
    /// More than one credential.
    TwoCredentials "credentials.several" BadRequest,
    /// An `Authorization` header that is not one word, one space and one token.
    MalformedHeader "credentials.malformed" BadRequest,

    /// Longer than 8 KiB.
    TooLarge "form.too-large" Invalid,
    /// A character that is neither base64url nor a dot; padding is one.
    Alphabet "form.alphabet" Invalid,
    /// Not three parts. Five would be an encrypted token, which proves nothing.
    Segments "form.segments" Invalid,
    /// A part is not the one spelling of its bytes.
    Base64 "form.base64" Invalid,
    /// The header is not a JSON object.
    HeaderJson "header.json" Invalid,
    /// A header member comes twice.
    HeaderDuplicate "header.duplicate" Invalid,
    /// The kind is not `at+jwt` (RFC 9068 section 4).
    Typ "header.typ" Invalid,
    /// Extensions that have to be understood (RFC 7515 section 4.1.11): there is none that we do.
    Crit "header.crit" Invalid,
    /// The header brings a key or points to one.
    EmbeddedKey "header.embedded-key" Invalid,
    /// No `alg`, or not a string.
    AlgMissing "alg.missing" Invalid,
    /// An algorithm that is not on the list; `none` is not.
    AlgNotAllowed "alg.not-allowed" Invalid,
    /// The key is for another algorithm.
    AlgKeyMismatch "alg.key-mismatch" Invalid,
    /// No `kid`, or not a string of 1 to 128 visible ASCII characters.
    KidMissing "kid.missing" Invalid,
    /// No key of that name in the ring, and the authority knows none either.
    KidUnknown "kid.unknown" Invalid,
    /// No key of that name in the ring, and the authority could not be asked.
    KidUnavailable "kid.unavailable" Unknown,
    /// The signature is not one of this key over this token.
    Signature "signature.invalid" Invalid,

    /// The claims are not a JSON object.
    ClaimsJson "claims.json" Invalid,
    /// A claim comes twice.
    ClaimsDuplicate "claims.duplicate" Invalid,
    /// Another issuer.
    IssWrong "iss.wrong" Invalid,
    /// For another audience.
    AudWrong "aud.wrong" Invalid,
    /// Not valid yet.
    NbfFuture "nbf.future" Invalid,
    /// Issued later than now.
    IatFuture "iat.future" Invalid,
    /// The chain of actors is longer than eight.
    ActDepth "act.depth" Invalid,
    /// Bound to a key (`cnf`, RFC 7800) whose possession a bearer does not prove.
    Confirmation "cnf.unsupported" Invalid,
    /// Past its end.
    ExpPast "exp.past" Expired,

    /// Token, session, subject, client or an actor is revoked or disabled.
    Revoked "state.revoked" Refused,
    /// Something changed since the token was minted.
    Stale "state.stale" Stale,
    /// What is in memory is older than the bound, and the policy is to refuse.
    TooOld "state.too-old" Unknown,
    /// Current state is needed and nobody could be asked.
    CheckUnavailable "state.unavailable" Unknown,
    /// A role or permission is missing.
    PermissionMissing "permission.missing" Forbidden,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_dotted() {
        let codes: Vec<_> = Reason::all().map(Reason::code).collect();
        let distinct: BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
        assert!(codes.iter().all(|code| code.split('.').count() == 2));
    }

    /// The codes are part of our interface: logs and `token inspect` show them.
    #[test]
    fn codes_are_stable() {
        let codes: Vec<_> = Reason::all().map(Reason::code).collect();
        assert_eq!(
            codes.join(" "),
            "credentials.none credentials.scheme credentials.several credentials.malformed form.too-large \
             form.alphabet form.segments form.base64 header.json header.duplicate header.typ header.crit \
             header.embedded-key alg.missing alg.not-allowed alg.key-mismatch kid.missing kid.unknown kid.unavailable \
             signature.invalid claims.json claims.duplicate iss.wrong aud.wrong nbf.future iat.future act.depth \
             cnf.unsupported exp.past state.revoked state.stale state.too-old state.unavailable permission.missing iss.missing \
             iss.type sub.missing sub.type aud.missing aud.type client_id.missing client_id.type iat.missing iat.type \
             exp.missing exp.type nbf.missing nbf.type jti.missing jti.type epoch.missing epoch.type roles.missing \
             roles.type scope.missing scope.type sid.missing sid.type act.missing act.type"
        );
    }
}
