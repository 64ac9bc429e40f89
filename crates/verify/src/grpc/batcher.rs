//! Online checks in natural batches: while one call is in flight, the next collects.
//!
//! A decision joins only a call that was not sent yet. One that joined a call in flight would be answered from a state
//! read before it was asked.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::proto::CheckRequest;
use super::proto::feed_client::FeedClient as Stub;
use crate::check::{CheckItem, CheckReply, CheckUnavailable, MAX_ITEMS};

/// No decision waits longer for one call.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Somebody who waits for a check.
pub(super) struct Asked {
    pub(super) items: Vec<CheckItem>,
    pub(super) answer: oneshot::Sender<Result<CheckReply, CheckUnavailable>>,
}

/// Runs until every sender is gone.
pub(super) async fn run(
    mut stub: Stub<Channel>,
    authorization: MetadataValue<Ascii>,
    mut waiting: mpsc::Receiver<Asked>,
) {
    while let Some(first) = waiting.recv().await {
        let mut batch = Vec::new();
        let mut count = first.items.len();
        batch.push(first);
        while count < MAX_ITEMS / 2 {
            let Ok(next) = waiting.try_recv() else { break };
            count += next.items.len();
            batch.push(next);
        }
        batch.retain(|asked| !asked.answer.is_closed());
        if !batch.is_empty() {
            one_call(&mut stub, &authorization, batch).await;
        }
    }
}

async fn one_call(stub: &mut Stub<Channel>, authorization: &MetadataValue<Ascii>, mut batch: Vec<Asked>) {
    let counts: Vec<usize> = batch.iter().map(|asked| asked.items.len()).collect();
    let items: Vec<_> = batch.iter_mut().flat_map(|asked| std::mem::take(&mut asked.items)).map(Into::into).collect();
    let total = items.len();
    let mut request = Request::new(CheckRequest { items });
    request.metadata_mut().insert("authorization", authorization.clone());
    let reply = match tokio::time::timeout(TIMEOUT, stub.check(request)).await {
        Ok(Ok(reply)) => CheckReply::try_from(reply.into_inner()),
        Ok(Err(status)) => Err(unavailable(&status)),
        Err(_) => Err(CheckUnavailable(format!("no answer within {TIMEOUT:?}"))),
    };
    let reply = reply.and_then(|reply| {
        if reply.answers.len() == total { Ok(reply) } else { Err(CheckUnavailable("too few answers".to_owned())) }
    });
    hand_out(batch, counts, reply);
}

fn hand_out(batch: Vec<Asked>, counts: Vec<usize>, reply: Result<CheckReply, CheckUnavailable>) {
    let (as_of_seq, floor, mut answers) = match reply {
        Ok(CheckReply { as_of_seq, floor, answers }) => (as_of_seq, floor, answers.into_iter()),
        Err(error) => {
            for asked in batch {
                let _ = asked.answer.send(Err(error.clone()));
            }
            return;
        }
    };
    for (asked, count) in batch.into_iter().zip(counts) {
        let own = answers.by_ref().take(count).collect();
        // Nobody waits any more: then nobody misses it.
        let _ = asked.answer.send(Ok(CheckReply { as_of_seq, floor, answers: own }));
    }
}

fn unavailable(status: &Status) -> CheckUnavailable {
    if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) {
        tracing::error!(code = ?status.code(), message = status.message(), "the authority refuses this client");
    }
    CheckUnavailable(format!("{:?}: {}", status.code(), status.message()))
}
