//! What the authority and its verifiers say to each other, free of any transport.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::jose::KeyRing;

/// One process of a verifier: 128 random bits drawn at its start; never configured, stored or used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub [u8; 16]);

impl Instance {
    /// A new one.
    ///
    /// # Panics
    /// When the machine has no randomness.
    #[expect(clippy::expect_used, reason = "without randomness two processes could share a lease")]
    pub fn draw() -> Self {
        let mut bits = [0; 16];
        aws_lc_rs::rand::fill(&mut bits).expect("the system's random generator answers");
        Self(bits)
    }
}

/// Base64url.
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

/// What changed.
#[derive(Debug, Clone)]
pub enum Change {
    /// This one token (`jti`) is refused.
    TokenRevoked(String),
    /// Every token of this session (`sid`) is refused.
    SessionRevoked(String),
    /// Tokens of this subject, or with it as an actor, minted before are stale.
    SubjectChanged(String),
    /// Tokens of this subject, of this client, or with it as an actor, minted before are refused.
    SubjectEnded(String),
    /// Tokens of this audience (`*`: of all) minted before are stale.
    AllChanged(String),
    /// Tokens signed with this key (`kid`) are stale.
    KeyRevoked(String),
    /// An audience's ring; the newest holds.
    KeysChanged {
        /// The audience.
        aud: String,
        /// Its keys.
        ring: Arc<KeyRing>,
    },
    /// What an audience's roles permit; the newest holds.
    PolicyChanged {
        /// The audience.
        aud: String,
        /// The table.
        table: Arc<PolicyTable>,
    },
}

/// A change and its place in the log.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place; no two events share one.
    pub seq: u64,
    /// Unix seconds: no token that it can hit lives longer.
    pub until: u64,
    /// What changed.
    pub change: Change,
}

/// Role → permissions of one audience.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyTable(pub BTreeMap<String, Vec<String>>);

impl PolicyTable {
    /// Whether one of the roles has a permission that covers `wanted`.
    pub fn permits(&self, roles: &[String], wanted: &str) -> bool {
        roles.iter().filter_map(|role| self.0.get(role)).any(|granted| crate::permits(granted, wanted))
    }
}

/// Every event in (from, to] that concerns the subscriber. From 0 it is a snapshot, which may come in parts.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What the subscriber must have applied.
    pub from: u64,
    /// What it has applied afterwards.
    pub to: u64,
    /// Unix seconds; see [`super::View::floor`].
    pub floor: u64,
    /// In order.
    pub events: Vec<Event>,
    /// The number of this part, from 0. Only a snapshot has several; they come in order over one connection.
    pub part: u32,
    /// Whether it is the last part.
    pub last: bool,
}

/// Asks for a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Renew {
    /// Who asks.
    pub instance: Instance,
    /// Never repeated by one instance.
    pub n: u64,
}

/// Answers the renewal `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Which renewal.
    pub n: u64,
    /// The log's head when the lease was recorded.
    pub head: u64,
    /// Zero grants no lease, only freshness.
    pub lease: Duration,
    /// How old `head` was when it was taken.
    pub age: Duration,
    /// Unix seconds; see [`super::View::floor`].
    pub floor: u64,
}

/// Where a subscriber continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe {
    /// Who.
    pub instance: Instance,
    /// The last position applied; 0 asks for a snapshot.
    pub applied: u64,
}
