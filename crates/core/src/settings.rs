//! What an operator can set about tokens, sessions and passwords.

use std::time::Duration;

use crate::password::Blocklist;

/// The authority's settings. [`Settings::new`] has the defaults; the process that reads the configuration fills it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer: the claim `iss` of every token, exactly as verifiers are told it.
    pub issuer: String,
    /// Life of an access token, unless the service has its own.
    pub access_ttl: Duration,
    /// Allowed clock difference at `exp`, `nbf` and `iat`.
    pub leeway: Duration,
    /// A session ends after this long without a refresh.
    pub session_idle_ttl: Duration,
    /// A session ends after this long in any case.
    pub session_absolute_ttl: Duration,
    /// How long a replayed refresh token still yields its successor.
    pub refresh_grace: Duration,
    /// Shortest password, in code points after NFKC.
    pub password_min_length: usize,
    /// Longest password, in code points after NFKC.
    pub password_max_length: usize,
    /// Passwords that nobody may take, beside the common ones.
    pub password_blocklist: Blocklist,
    /// Parameters of argon2id.
    pub argon2: Argon2Settings,
}

/// Parameters of argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Settings {
    /// Memory in KiB.
    pub m_kib: u32,
    /// Passes.
    pub t: u32,
    /// Lanes.
    pub p: u32,
}

/// The longest life that any access token may be given.
pub const MAX_ACCESS_TTL: Duration = Duration::from_secs(3600);

impl Settings {
    /// The defaults, for an issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            issuer: issuer.into(),
            access_ttl: Duration::from_secs(600),
            leeway: Duration::from_secs(5),
            session_idle_ttl: 14 * DAY,
            session_absolute_ttl: 90 * DAY,
            refresh_grace: Duration::from_secs(20),
            password_min_length: 15,
            password_max_length: 128,
            password_blocklist: Blocklist::default(),
            argon2: Argon2Settings { m_kib: 19_456, t: 2, p: 1 },
        }
    }
}
