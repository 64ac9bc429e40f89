//! What the authority does by itself from time to time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use propusk_core::store::StoreError;
use propusk_core::{idempotency, keys, log};

use crate::app::App;
use crate::rotation;

const EACH_MINUTE: Duration = Duration::from_secs(60);
/// Once in so many minutes.
const FORGET_EVERY: u64 = 60;

/// Raises the log's ceiling and floor, and forgets keys that the floor has passed. Nothing may be minted before this
/// ran once.
pub(crate) async fn raise_limits(app: &App) -> Result<(), StoreError> {
    let leeway = app.settings.leeway;
    let (floor, keys_are_gone) = app
        .write(move |tx, env| {
            log::raise_limits(tx, env.now, leeway)?;
            let floor = tx.log_state()?.floor;
            Ok::<_, StoreError>((floor, keys::forget_passed(tx, env, floor)?))
        })
        .await?;
    app.feed.set_floor(floor);
    if keys_are_gone {
        app.reload_rings().await?;
    }
    Ok(())
}

/// Lets a minute pass, and looks each second whether a verifier has vanished and whether a key is to change.
async fn minute_of_looks(app: &Arc<App>) {
    for _ in 0..EACH_MINUTE.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        app.feed.sweep();
        rotation::step(app).await;
    }
}

/// Runs until `shutdown`.
pub(crate) async fn run(app: Arc<App>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    for minute in 1_u64.. {
        tokio::select! {
            () = &mut shutdown => return,
            () = minute_of_looks(&app) => {}
        }
        if let Err(error) = raise_limits(&app).await {
            tracing::error!(%error, "the log's limits could not be raised");
        }
        if minute.is_multiple_of(FORGET_EVERY) {
            let forgotten = app
                .write(|tx, env| {
                    tx.forget_answers(idempotency::forgotten_before(env.now))?;
                    tx.forget_expired_sessions(env.now)
                })
                .await;
            match forgotten {
                Ok(count) => tracing::debug!(count, "expired sessions forgotten"),
                Err(error) => tracing::error!(%error, "expired sessions could not be forgotten"),
            }
        }
    }
}
