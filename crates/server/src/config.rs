//! What the authority needs to be told.

use std::path::PathBuf;
use std::time::Duration;

use propusk_core::keys::{Kek, Schedule};
use propusk_core::secret::PlainSecret;
use propusk_core::settings::Settings;
use propusk_verify::forwarded::Network;

/// Everything that [`crate::Authority::start`] needs, read and checked by whoever starts it.
#[derive(Debug)]
pub struct ServerConfig {
    /// Tokens, sessions, passwords; the issuer.
    pub settings: Settings,
    /// The SQLite file.
    pub database: PathBuf,
    /// `PRAGMA synchronous`: `full`, or weaker where losing the last commits does not matter.
    pub synchronous: propusk_store::Synchronous,
    /// Opens the stored private keys.
    pub kek: Kek,
    /// How many sign-ins may wait for a thread that hashes; more are answered 503.
    pub hash_queue: usize,
    /// The longest that somebody waits after a failed sign-in; `None` slows nobody down.
    pub throttle: Option<Duration>,
    /// Proxies in front of it, whose `Forwarded` and `X-Forwarded-For` count.
    pub trusted_proxies: Vec<Network>,
    /// When keys change; its `max_age` is that of key sets and PEM.
    pub key_schedule: Schedule,
    /// Serve the access-token keys of all audiences at `/.well-known/jwks.json`, giving up their isolation.
    pub publish_all_keys: bool,
    /// How long a verifier may decide elite endpoints from memory after each renewal; zero grants no leases.
    pub lease: Duration,
    /// How long a revoking call waits for enforcement, unless it says otherwise. Longer than the lease.
    pub revoke_wait_limit: Duration,
    /// Tell how each decision was made.
    pub debug_decision_headers: bool,
    /// Answer `/-/` to others than loopback.
    pub ops_anywhere: bool,
    /// Make the client `bootstrap-admin` with this secret if it is not there.
    pub bootstrap_admin_secret: Option<PlainSecret>,
}
