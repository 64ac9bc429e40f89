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

#[cfg(test)]
mod tests {
    use propusk_core::grants::{client_credentials, token_exchange};
    use propusk_core::introspection;
    use propusk_core::target::Target;
    use propusk_verify::check::CheckVerdict;
    use propusk_verify::token::VerifiedToken;

    use super::*;
    use crate::demo;

    fn to(audience: &str) -> Target {
        Target { audience: Some(audience.to_owned()), resource: None }
    }

    /// A token of `demo-m2m` for `posts`.
    async fn token(app: &Arc<App>) -> Arc<VerifiedToken> {
        let settings = app.settings.clone();
        let granted = app.read(move |tx, env| {
            let client = tx.client(&"demo-m2m".parse().unwrap())?.unwrap();
            client_credentials::grant(tx, env, &settings, client, &to("posts"))
        });
        let raw = app.sign(granted.await.unwrap().access).await.unwrap();
        app.verify_any(&raw).unwrap()
    }

    /// Whether `posts` is told that the token is active, and whether it may exchange it.
    async fn is_taken(app: &App, token: &Arc<VerifiedToken>) -> [bool; 2] {
        let (token, settings) = (Arc::clone(token), app.settings.clone());
        let asked = app.read(move |tx, env| {
            let posts = tx.client(&"posts".parse().unwrap())?.unwrap();
            let active = introspection::access_token(tx, &posts, &token)?.is_some();
            let exchanged = token_exchange::grant(tx, env, &settings, &posts, &token, &to("users"));
            Ok::<_, StoreError>([active, exchanged.is_ok()])
        });
        asked.await.unwrap()
    }

    /// The clock by which it was checked may be slow: what hit it may be forgotten, so nothing good is said of it.
    #[tokio::test]
    async fn a_token_that_the_floor_has_passed_is_expired_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let app = demo::tests::opened(dir.path()).await;
        let token = token(&app).await;
        let exp = token.claims().exp;
        for (floor, taken) in [(exp - 1, true), (exp, false)] {
            app.write(move |tx, _| tx.raise_log_limits(0, floor)).await.unwrap();
            assert_eq!(is_taken(&app, &token).await, [taken; 2], "{floor}");
            let checked = CommittedState(Arc::clone(&app)).check(vec![CheckItem::of(&token)]).await.unwrap();
            assert_eq!(checked.floor, floor, "for the verifier to judge by");
            assert!(matches!(checked.answers[..], [CheckVerdict::Good { .. }]), "nothing is known against it");
        }
        app.store.close().await;
    }
}
