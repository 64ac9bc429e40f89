//! Sessions that nobody will use again are ended at the authority too: what a client replaced or dropped must not live
//! on there as long as an idle session may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::authority::{Authority, AuthorityError};
use crate::secret::Secret;

/// More than this at once and the rest is left to the authority's limit on idle sessions.
const MAX_WAITING: usize = 4096;
/// So many are ended at a time: each waits until its end is enforced.
const AT_A_TIME: usize = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Takes the refresh tokens of such sessions.
#[derive(Debug, Clone)]
pub(crate) struct EndedSessions(mpsc::Sender<Secret>);

/// The other end: run by [`end_sessions`].
pub(crate) struct Waiting(mpsc::Receiver<Secret>);

/// Both ends.
pub(crate) fn channel() -> (EndedSessions, Waiting) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (EndedSessions(sender), Waiting(receiver))
}

impl EndedSessions {
    /// Hands over the refresh token of a session that has ended here.
    pub(crate) fn end(&self, refresh: Secret) {
        if self.0.try_send(refresh).is_err() {
            tracing::warn!("too many sessions to end; one is left to its idle limit");
        }
    }
}

/// Ends what is handed over, until nobody is left who could hand over more. While the authority is away, it waits and
/// tries again.
pub(crate) async fn end_sessions(Waiting(mut receiver): Waiting, authority: Arc<Authority>) {
    let mut waiting = VecDeque::new();
    let mut pause = FIRST_PAUSE;
    loop {
        if waiting.is_empty() {
            let Some(first) = receiver.recv().await else { return };
            waiting.push_back(first);
        }
        while waiting.len() < AT_A_TIME
            && let Ok(next) = receiver.try_recv()
        {
            waiting.push_back(next);
        }
        let batch: Vec<Secret> = waiting.drain(..).collect();
        let outcomes = join_all(batch.iter().map(|refresh| authority.revoke(refresh, "gateway-ended"))).await;
        let failed =
            batch.into_iter().zip(outcomes).filter(|(_, outcome)| !is_over(outcome)).map(|(refresh, _)| refresh);
        waiting.extend(failed);
        if waiting.is_empty() {
            pause = FIRST_PAUSE;
        } else {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Trying again would change nothing.
fn is_over<T>(outcome: &Result<T, AuthorityError>) -> bool {
    matches!(outcome, Ok(_) | Err(AuthorityError::Refused))
}
