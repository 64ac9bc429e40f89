//! The answers that a client can get: the one table from verdict to status, headers and problem type.

use std::fmt;

use crate::problem::Problem;

/// What a client is told when its request is not let through, in the order in which the first match wins: a known
/// "no" comes before "cannot tell".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No credential was sent: sign in.
    None,
    /// Two credentials, or a malformed header: fix the request.
    BadRequest,
    /// The token is not one of ours for this audience: sign in.
    Invalid,
    /// Past its end: refresh it and try again, once.
    Expired,
    /// Revoked or disabled: sign in.
    Refused,
    /// Something changed since the token was minted: refresh it and try again, once.
    Stale,
    /// Nobody could tell just now: try again with the same token.
    Unknown,
    /// A stronger sign-in is needed (RFC 9470).
    StepUp,
    /// A role or permission is missing: stop.
    Forbidden,
}

/// One row of the table.
struct Row {
    status: u16,
    /// `error` of the Bearer challenge (RFC 6750 section 3.1); a challenge without one where nothing was sent.
    challenge: Challenge,
    header: &'static str,
    slug: &'static str,
    title: &'static str,
}

enum Challenge {
    No,
    Bare,
    Error(&'static str),
}

impl Verdict {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::BadRequest,
        Self::Invalid,
        Self::Expired,
        Self::Refused,
        Self::Stale,
        Self::Unknown,
        Self::StepUp,
        Self::Forbidden,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Challenge::{Bare, Error, No};
        let (status, challenge, header, slug, title) = match self {
            Self::None => (401, Bare, "none", "no-credentials", "Sign in first"),
            Self::BadRequest => (400, Error("invalid_request"), "invalid", "bad-request", "The request has no single, well-formed credential"),
            Self::Invalid => (401, Error("invalid_token"), "invalid", "invalid-token", "The token is not valid here"),
            Self::Expired => (401, Error("invalid_token"), "expired", "token-expired", "The token has expired"),
            Self::Refused => (401, Error("invalid_token"), "refused", "token-revoked", "The token has been revoked"),
            Self::Stale => (401, Error("invalid_token"), "stale", "token-stale", "Something changed since the token was issued"),
            Self::Unknown => (503, No, "unknown", "cannot-tell", "The token cannot be judged at the moment"),
            Self::StepUp => (401, Error("insufficient_user_authentication"), "step-up", "step-up", "A stronger sign-in is needed"),
            Self::Forbidden => (403, Error("insufficient_scope"), "forbidden", "missing-permission", "A role or permission is missing"),
        };
        Row { status, challenge, header, slug, title }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// The problem type, without the prefix [`crate::problem::TYPE_PREFIX`].
    pub const fn slug(self) -> &'static str {
        self.row().slug
    }

    /// The value of the header `Propusk-Verdict`.
    pub const fn header(self) -> &'static str {
        self.row().header
    }

    /// Seconds after which to try again, where trying again can help by itself.
    pub const fn retry_after(self) -> Option<u64> {
        match self {
            Self::Unknown => Some(1),
            _ => None,
        }
    }

    /// The value of `WWW-Authenticate`, where there is one. Nothing in it tells more than the verdict.
    pub fn www_authenticate(self, realm: &str) -> Option<String> {
        // A quoted-string (RFC 9110 section 5.6.4) of visible ASCII.
        let realm: String =
            realm.chars().filter(|c| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\')).collect();
        match self.row().challenge {
            Challenge::No => None,
            Challenge::Bare => Some(format!("Bearer realm=\"{realm}\"")),
            Challenge::Error(error) => Some(format!("Bearer realm=\"{realm}\", error=\"{error}\"")),
        }
    }

    /// The problem document (RFC 9457).
    pub fn problem(self) -> Problem {
        let row = self.row();
        Problem::new(row.status, row.slug, row.title)
    }
}

/// As in the header `Propusk-Verdict`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_answers() {
        let table: Vec<String> = Verdict::ALL
            .iter()
            .map(|verdict| {
                let challenge = verdict.www_authenticate("cars").unwrap_or_default();
                format!("{} {} {} {challenge}", verdict.status(), verdict.header(), verdict.slug())
            })
            .collect();
        assert_eq!(
            table,
            [
                "401 none no-credentials Bearer realm=\"cars\"",
                "400 invalid bad-request Bearer realm=\"cars\", error=\"invalid_request\"",
                "401 invalid invalid-token Bearer realm=\"cars\", error=\"invalid_token\"",
                "401 expired token-expired Bearer realm=\"cars\", error=\"invalid_token\"",
                "401 refused token-revoked Bearer realm=\"cars\", error=\"invalid_token\"",
                "401 stale token-stale Bearer realm=\"cars\", error=\"invalid_token\"",
                "503 unknown cannot-tell ",
                "401 step-up step-up Bearer realm=\"cars\", error=\"insufficient_user_authentication\"",
                "403 forbidden missing-permission Bearer realm=\"cars\", error=\"insufficient_scope\"",
            ]
        );
        let retried: Vec<_> = Verdict::ALL.into_iter().filter(|verdict| verdict.retry_after().is_some()).collect();
        assert_eq!(retried, [Verdict::Unknown]);
    }

    #[test]
    fn a_realm_cannot_break_out_of_its_quotes() {
        let value = Verdict::None.www_authenticate("a\", error=\"x\\\r\nSet-Cookie: y").unwrap();
        assert_eq!(value, "Bearer realm=\"a, error=xSet-Cookie: y\"");
    }
}
