//! The one place where a password is checked.

use std::sync::Arc;

use propusk_core::audit::Actor;
use propusk_core::grants::password::{Candidate, record_refusal};
use propusk_core::password::Password;
use propusk_core::sessions::Authenticated;
use propusk_core::store::{SessionOrigin, StoreError};
use propusk_core::users;

use crate::app::App;
use crate::extract::SecretText;
use crate::hashing::HashingError;

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SignInError> for crate::error::Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Hashing(error) => error.into(),
            SignInError::Store(error) => error.into(),
        }
    }
}

/// Who signed in, if the password was right. A refusal is in the audit log when this answers.
pub(crate) async fn check(
    app: &App,
    candidate: Candidate,
    password: &SecretText,
    actor: &Actor,
    origin: &SessionOrigin,
) -> Result<Option<Authenticated>, SignInError> {
    if let Some(who) = right(app, &candidate, password.expose()).await? {
        return Ok(Some(who));
    }
    let (actor, origin) = (actor.clone(), origin.clone());
    app.write(move |tx, env| record_refusal(tx, env, &actor, &candidate, &origin)).await?;
    Ok(None)
}

/// Who it is, with the hash that is stored now.
async fn right(app: &App, candidate: &Candidate, text: &str) -> Result<Option<Authenticated>, SignInError> {
    // What cannot be a password, the empty text among it, is checked as nobody's: the work is the same.
    let typed = Password::to_check(text).filter(|_| !text.is_empty());
    let hash = typed.as_ref().and_then(|_| candidate.password_hash().map(str::to_owned));
    let Some(typed) = typed.or_else(|| Password::to_check("")).map(Arc::new) else { return Ok(None) };
    let checked = app.hashing.check(Arc::clone(&typed), hash).await?;
    match (candidate.0.clone().filter(|_| checked.is_right), checked.renewed) {
        (Some(who), Some(renewed)) => renew(app, who, renewed, typed).await,
        (who, _) => Ok(who),
    }
}

/// Stores a hash as we make them today in the place of the one that the password was checked against. Nobody is refused
/// because that fails.
async fn renew(
    app: &App,
    who: Authenticated,
    renewed: String,
    typed: Arc<Password>,
) -> Result<Option<Authenticated>, SignInError> {
    let Authenticated { user_id, password_hash: old } = who.clone();
    let new = renewed.clone();
    let stored = app.write(move |tx, _| users::renew_password_hash(tx, &user_id, &old, new)).await;
    match stored {
        Ok(Some(hash)) if hash == renewed => Ok(Some(Authenticated { password_hash: hash, ..who })),
        // Somebody was faster: another sign-in of the same person did this too, or the password was changed.
        Ok(Some(hash)) => {
            let checked = app.hashing.check(typed, Some(hash.clone())).await?;
            Ok(checked.is_right.then_some(Authenticated { password_hash: hash, ..who }))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            tracing::warn!(%error, "a password's hash was not renewed; its next sign-in tries again");
            Ok(Some(who))
        }
    }
}
