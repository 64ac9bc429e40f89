//! Doing what was asked once, however often it is asked: for callers whose answer was lost.
//!
//! Who sends a key with a request and sends both again gets the first answer again, and nothing is done anew. The answer
//! is kept in the transaction of the change, so there is never one without the other; an error changed nothing and is not
//! kept. It may hold a secret that is shown once, and a hash of the request could be turned back into a password that was
//! in it: so all of it is sealed under the key-encryption key, and the database alone tells nothing.

use std::time::Duration;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::env::{Env, Timestamp};
use crate::keys::Kek;
use crate::secret::HashedSecret;
use crate::store::{StoreError, Tx};

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a caller named a request, and what the request says.
#[derive(Debug, Clone)]
pub struct OnceKey {
    /// Of the caller and its name for the request: no caller gets another's answer.
    name: HashedSecret,
    request: HashedSecret,
}

impl OnceKey {
    /// `request` is everything that tells it from another one: method, address and body.
    pub fn new(caller: &str, name: &str, request: &[&[u8]]) -> Self {
        Self { name: hash(&[caller.as_bytes(), name.as_bytes()]), request: hash(request) }
    }

    fn context(&self) -> String {
        let hex = |byte: &u8| format!("{byte:02x}");
        format!("propusk kept answer v1/{}", self.name.as_bytes().iter().map(hex).collect::<String>())
    }
}

/// Of parts, each with its length before it: what begins in one never ends in another.
fn hash(parts: &[&[u8]]) -> HashedSecret {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    HashedSecret::from_bytes(hash)
}

/// An answer as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The position in the log to wait for, if there is one.
    pub seq: Option<u64>,
    /// The version of what was made, if it has one.
    pub version: Option<u64>,
    /// The body, if it has one of its own.
    pub body: Option<String>,
}

impl std::fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptAnswer").field("status", &self.status).field("seq", &self.seq).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    request: [u8; 32],
    answer: KeptAnswer,
}

/// The key came with another request before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key was used for another request")]
pub struct OtherRequest;

/// The answer that the request got before, if it came before. One that the key-encryption key does not open any more
/// counts as none.
///
/// # Errors
/// When the store fails.
pub fn kept(
    tx: &mut dyn Tx,
    env: Env<'_>,
    kek: &Kek,
    key: &OnceKey,
) -> Result<Result<Option<KeptAnswer>, OtherRequest>, StoreError> {
    tx.forget_answers(forgotten_before(env.now))?;
    let Some(sealed) = tx.kept_answer(&key.name)? else { return Ok(Ok(None)) };
    let Ok(opened) = kek.open(&key.context(), &sealed) else { return Ok(Ok(None)) };
    let Sealed { request, answer } = serde_json::from_slice(&opened).map_err(StoreError::failed)?;
    let is_same = HashedSecret::from_bytes(request) == key.request;
    Ok(if is_same { Ok(Some(answer)) } else { Err(OtherRequest) })
}

/// Keeps an answer, in the transaction of the change that it tells of.
///
/// # Errors
/// When the store fails.
pub fn keep(tx: &mut dyn Tx, env: Env<'_>, kek: &Kek, key: &OnceKey, answer: &KeptAnswer) -> Result<(), StoreError> {
    let sealed = Sealed { request: *key.request.as_bytes(), answer: answer.clone() };
    let plain = Zeroizing::new(serde_json::to_vec(&sealed).map_err(StoreError::failed)?);
    let sealed = kek.seal(&key.context(), &plain).map_err(StoreError::failed)?;
    tx.keep_answer(&key.name, &sealed, env.now)
}

/// Answers from before this time are forgotten.
pub fn forgotten_before(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(crate::env::millis(KEPT_FOR)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_names_and_requests_do_not_run_together() {
        let key = |caller: &str, name: &str, request: &[&[u8]]| OnceKey::new(caller, name, request);
        let one = key("u_1", "k", &[b"POST", b"/users", b"{}"]);
        assert_eq!(one.name, key("u_1", "k", &[]).name);
        assert_ne!(one.name, key("u_2", "k", &[]).name);
        assert_ne!(key("ab", "c", &[]).name, key("a", "bc", &[]).name);
        assert_eq!(one.request, key("", "", &[b"POST", b"/users", b"{}"]).request);
        assert_ne!(one.request, key("", "", &[b"POST", b"/users{}", b""]).request);
    }
}
