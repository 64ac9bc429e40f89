//! The one place where a password is checked.

use propusk_core::audit::Actor;
use propusk_core::grants::password::{Candidate, record_refusal};
use propusk_core::password::Password;
use propusk_core::sessions::Authenticated;
use propusk_core::store::{SessionOrigin, StoreError};

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
    // A text that cannot be a password is checked as the empty one, which is nobody's: the work is the same.
    let typed = Password::to_check(password.expose()).or_else(|| Password::to_check(""));
    let is_right = match typed {
        Some(typed) => app.hashing.check(typed, candidate.password_hash().map(str::to_owned)).await?,
        None => false,
    };
    if is_right {
        return Ok(candidate.0);
    }
    let (actor, origin) = (actor.clone(), origin.clone());
    app.write(move |tx, env| record_refusal(tx, env, &actor, &candidate, &origin)).await?;
    Ok(None)
}
