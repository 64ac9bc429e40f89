//! People: registration, changes, disabling, enabling, and the end.

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{SessionId, Subject, UserId};
use crate::log::{self, Change};
use crate::roles::Admins;
use crate::sessions;
use crate::store::{AuditEntry, GoneId, Page, StoreError, Tx, User};
use crate::username::{self, UsernameError};
use crate::version::Expected;

/// A person who wants to register; the password is hashed already.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// In the stored form of [`username::stored_form`].
    pub username: String,
    /// As it was typed, its domain lower-cased.
    pub email: Option<String>,
    /// An argon2id hash in PHC form; without one there is no signing in by password.
    pub password_hash: Option<String>,
}

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Somebody has this username.
    #[error("the username is taken")]
    UsernameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Registers a person.
///
/// # Errors
/// [`RegisterError`].
pub fn register(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, new: NewUser) -> Result<User, RegisterError> {
    let user = User {
        id: UserId::generate(env.random),
        username: new.username,
        email: new.email,
        password_hash: new.password_hash,
        disabled: false,
        ended_seq: 0,
        created_at: env.now,
        version: 1,
    };
    if !tx.insert_user(&user)? {
        return Err(RegisterError::UsernameTaken);
    }
    tx.append_audit(&entry(actor, "user_registered", &user.id), env.now)?;
    Ok(user)
}

/// The person with this username in whatever case it was typed; `None` also for what cannot be a username.
///
/// # Errors
/// When the store fails.
pub fn by_typed_username(tx: &dyn Tx, typed: &str) -> Result<Option<User>, StoreError> {
    match username::stored_form(typed) {
        Ok(name) => tx.user_by_username(&name),
        Err(UsernameError::Length | UsernameError::Characters | UsernameError::Scripts) => Ok(None),
    }
}

/// Checks an e-mail address as far as it makes sense (RFC 5321 lengths, one `@`), and lower-cases its domain.
/// `None` if it cannot be one.
pub fn normal_email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let sane = |part: &str| !part.chars().any(|c| c.is_whitespace() || c.is_control() || "<>()[],;:\"\\".contains(c));
    let domain_ok = !domain.is_empty()
        && domain.len() <= 255
        && !domain.contains('@')
        && domain.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && sane(domain);
    let local_ok = !local.is_empty() && local.len() <= 64 && !local.contains('@') && sane(local);
    (domain_ok && local_ok && text.len() <= 254).then(|| format!("{local}@{}", domain.to_lowercase()))
}

/// Why a person was left as before.
#[derive(Debug, thiserror::Error)]
pub enum UserChangeError {
    /// No such person.
    #[error("no such user")]
    Unknown,
    /// Somebody else has the username.
    #[error("the username is taken")]
    UsernameTaken,
    /// The person is not what the author of the change saw.
    #[error("the user was changed meanwhile")]
    Changed,
    /// It is the last administrator.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be changed of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Another username, in the stored form of [`username::stored_form`].
    pub username: Option<String>,
    /// Another address, or none any more.
    pub email: Option<Option<String>>,
}

/// Changes a person. Answers what became of this person, and the position in the log to wait for.
///
/// # Errors
/// [`UserChangeError`].
pub fn change(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &UserId,
    change: UserChange,
    expected: &Expected,
) -> Result<(User, u64), UserChangeError> {
    let mut user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    if !expected.allows(Some(user.version)) {
        return Err(UserChangeError::Changed);
    }
    let username = change.username.filter(|new| *new != user.username);
    let email = change.email.filter(|new| *new != user.email);
    if username.is_none() && email.is_none() {
        let head = log::nothing_changed(tx)?;
        return Ok((user, head));
    }
    if let Some(username) = &username
        && !tx.rename_user(id, username)?
    {
        return Err(UserChangeError::UsernameTaken);
    }
    if let Some(email) = email {
        user.email = email;
        tx.update_user(&user)?;
    }
    tx.append_audit(&entry(actor, "user_changed", id), env.now)?;
    let changed = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    let seq = log::append(tx, env, &Change::SubjectChanged(Subject::User(id.clone())))?;
    Ok((changed, seq))
}

/// Erases a person: every session and token ends, and nothing personal is left. The id stays behind, for the audit log,
/// and is not given again. Answers the position in the log to wait for.
///
/// # Errors
/// [`UserChangeError`].
pub fn delete(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &UserId,
    expected: &Expected,
) -> Result<u64, UserChangeError> {
    let user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    if !expected.allows(Some(user.version)) {
        return Err(UserChangeError::Changed);
    }
    let admins = Admins::before(tx)?;
    tx.delete(&GoneId::User(id.clone()), env.now)?;
    if !admins.are_left(tx)? {
        return Err(UserChangeError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "user_deleted", id), env.now)?;
    Ok(log::append(tx, env, &Change::SubjectEnded(Subject::User(id.clone())))?)
}

/// Disables a person: every session and token ends. Answers the position in the log to wait for.
///
/// # Errors
/// [`UserChangeError`].
pub fn disable(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &UserId) -> Result<u64, UserChangeError> {
    let user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    if user.disabled {
        return Ok(log::nothing_changed(tx)?);
    }
    let admins = Admins::before(tx)?;
    tx.append_audit(&entry(actor, "user_disabled", id), env.now)?;
    let seq = end_everything(tx, env, User { disabled: true, ..user })?;
    if admins.are_left(tx)? { Ok(seq) } else { Err(UserChangeError::LastAdmin) }
}

/// Lets a disabled person sign in again; sessions and tokens from before stay ended. Answers the head of the log.
///
/// # Errors
/// [`UserChangeError`].
pub fn enable(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &UserId) -> Result<u64, UserChangeError> {
    let user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    if user.disabled {
        tx.append_audit(&entry(actor, "user_enabled", id), env.now)?;
        tx.update_user(&User { disabled: false, ..user })?;
    }
    Ok(log::nothing_changed(tx)?)
}

/// Ends every session and token of a person. Answers the position in the log to wait for.
///
/// # Errors
/// [`UserChangeError`].
pub fn sign_out_everywhere(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &UserId) -> Result<u64, UserChangeError> {
    let user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    tx.append_audit(&entry(actor, "signed_out_everywhere", id), env.now)?;
    Ok(end_everything(tx, env, user)?)
}

/// Gives a person another password, hashed already. Every session ends but `keep`, whose tokens become stale and are
/// refreshed. Answers the position in the log to wait for.
///
/// # Errors
/// [`UserChangeError`].
pub fn change_password(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &UserId,
    password_hash: String,
    keep: Option<&SessionId>,
) -> Result<u64, UserChangeError> {
    let user = tx.user(id)?.ok_or(UserChangeError::Unknown)?;
    tx.update_user(&User { password_hash: Some(password_hash), ..user })?;
    tx.append_audit(&entry(actor, "password_changed", id), env.now)?;
    let mut after = None;
    loop {
        let page = tx.sessions_of(id, &Page { after: after.take(), limit: 200 })?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.id.to_string());
        for (session, _) in page.iter().filter(|(session, _)| Some(&session.id) != keep) {
            sessions::end(tx, env, actor, "session_ended", &session.id)?;
        }
    }
    Ok(log::append(tx, env, &Change::SubjectChanged(Subject::User(id.clone())))?)
}

/// Stores another hash of the same password in the place of `old`, unless that is not there any more. Answers the hash
/// that is there now. It is no change of the person: no session ends, nothing is audited.
///
/// # Errors
/// When the store fails.
pub fn renew_password_hash(tx: &mut dyn Tx, id: &UserId, old: &str, new: String) -> Result<Option<String>, StoreError> {
    if tx.renew_password_hash(id, old, &new)? {
        return Ok(Some(new));
    }
    Ok(tx.user(id)?.and_then(|user| user.password_hash))
}

fn end_everything(tx: &mut dyn Tx, env: Env<'_>, mut user: User) -> Result<u64, StoreError> {
    tx.end_sessions_of(&user.id, env.now)?;
    // The event's place is known only once it is appended; both are in this transaction.
    let seq = log::append(tx, env, &Change::SubjectEnded(Subject::User(user.id.clone())))?;
    user.ended_seq = seq;
    tx.update_user(&user)?;
    Ok(seq)
}

fn entry(actor: &Actor, action: &'static str, id: &UserId) -> AuditEntry {
    AuditEntry { subject: id.to_string(), ..actor.entry(action, "ok") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(normal_email("Ann.B+x@Example.ORG").as_deref(), Some("Ann.B+x@example.org"));
        for bad in ["", "ann", "@example.org", "ann@", "a b@example.org", "a@b@example.org", "a@.org", "a@x\n.org"] {
            assert_eq!(normal_email(bad), None, "{bad:?}");
        }
    }
}
