//! The online check (`Check`): committed state, read in a snapshot that begins after the call came in.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use propusk_core::log;
use propusk_core::store::{LogState, StoreError};
use propusk_verify::check::{CheckItem, CheckReply, CheckUnavailable, OnlineCheck};

use crate::app::App;

/// The check as the authority's own verifier and its gRPC service use it.
pub(crate) struct CommittedState(pub(crate) Arc<App>);

impl OnlineCheck for CommittedState {
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>> {
        Box::pin(async move {
            let judged = self.0.read(move |tx, _| {
                let LogState { head, floor, .. } = tx.log_state()?;
                let answers = items.iter().map(|item| log::judge(tx, item)).collect::<Result<_, _>>()?;
                Ok::<_, StoreError>(CheckReply { as_of_seq: head, floor, answers })
            });
            judged.await.map_err(|error| {
                tracing::error!(%error, "a check could not be answered");
                CheckUnavailable(error.to_string())
            })
        })
    }
}
