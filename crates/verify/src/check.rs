//! Asking the authority about current state: what goes over, what comes back, and who can be asked.

use std::future::Future;
use std::pin::Pin;

use crate::token::VerifiedToken;

/// At most this many items go into one call.
pub const MAX_ITEMS: usize = 1024;

/// A boxed future, the same type as `futures_util::future::BoxFuture`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What state judges a token by. The token itself does not cross the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckItem {
    /// Whom the token is for.
    pub aud: String,
    /// The token's id.
    pub jti: String,
    /// Its session, if it belongs to one.
    pub sid: Option<String>,
    /// Whom it speaks for.
    pub sub: String,
    /// The client that asked for it.
    pub client_id: String,
    /// Who acts, outermost first.
    pub actors: Vec<String>,
    /// The head of the log that it was minted from.
    pub epoch: u64,
    /// The key that signed it.
    pub kid: String,
}

impl CheckItem {
    /// The item of a token.
    pub fn of(token: &VerifiedToken) -> Self {
        let claims = token.claims();
        Self {
            aud: claims.aud.clone(),
            jti: claims.jti.clone(),
            sid: claims.sid.clone(),
            sub: claims.sub.clone(),
            client_id: claims.client_id.clone(),
            actors: claims.actors().map(str::to_owned).collect(),
            epoch: claims.epoch,
            kid: token.kid().to_owned(),
        }
    }
}

/// What current state says of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckVerdict {
    /// It stands.
    Good {
        /// The subject's current roles for the audience.
        roles: Vec<String>,
        /// What these roles permit.
        permissions: Vec<String>,
    },
    /// Revoked or disabled.
    Refused,
    /// Something changed since it was minted.
    Stale,
}

/// The answers to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReply {
    /// The head of the log in the snapshot that every answer was read from.
    pub as_of_seq: u64,
    /// Unix seconds, of the same snapshot: a token that ends by then is expired, whatever its answer says, for what hit
    /// it may be forgotten.
    pub floor: u64,
    /// One for each item, in order.
    pub answers: Vec<CheckVerdict>,
}

/// Nobody could be asked, or the answer was no answer. The text is for our log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no online check: {0}")]
pub struct CheckUnavailable(pub String);

/// Somebody who knows current state: the authority over gRPC, or its own store in the authority itself.
pub trait OnlineCheck: Send + Sync {
    /// Judges the items, all in one snapshot that is read after this was called.
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>>;
}
