//! Groups: making them, and who is in them.

use crate::audit::Actor;
use crate::env::Env;
use crate::id::{GroupId, Subject, UserId};
use crate::log;
use crate::roles::{Admins, Affected};
use crate::store::{AuditEntry, Group, StoreError, Tx};

/// Why a group was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// There is one with this id.
    #[error("the group exists")]
    Exists,
    /// No such group.
    #[error("no such group")]
    Unknown,
    /// No such person.
    #[error("no such user")]
    UnknownUser,
    /// Nobody would administer any more.
    #[error("the last administrator")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a group with nobody in it.
///
/// # Errors
/// [`GroupError`].
pub fn create(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: GroupId) -> Result<Group, GroupError> {
    let group = Group { id, created_at: env.now };
    if !tx.insert_group(&group)? {
        return Err(GroupError::Exists);
    }
    tx.append_audit(&entry(actor, "group_created", &group.id), env.now)?;
    Ok(group)
}

/// Deletes a group: its members lose its roles. Answers the position in the log to wait for.
///
/// # Errors
/// [`GroupError`].
pub fn delete(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, id: &GroupId) -> Result<u64, GroupError> {
    let (admins, affected) = (Admins::before(tx)?, Affected::by_group(tx, id)?);
    if !tx.delete_group(id)? {
        return Err(GroupError::Unknown);
    }
    if !admins.are_left(tx)? {
        return Err(GroupError::LastAdmin);
    }
    tx.append_audit(&entry(actor, "group_deleted", id), env.now)?;
    Ok(affected.append(tx, env)?)
}

/// Puts a person into a group. Answers the position in the log to wait for: the head if this person was in it before.
///
/// # Errors
/// [`GroupError`].
pub fn add_member(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &GroupId,
    user: &UserId,
) -> Result<u64, GroupError> {
    expect_known(tx, id, user)?;
    if !tx.add_member(id, user)? {
        return Ok(log::nothing_changed(tx)?);
    }
    record(tx, env, actor, "member_added", user)
}

/// Takes a person out of a group; answers as [`add_member`].
///
/// # Errors
/// [`GroupError`].
pub fn remove_member(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    id: &GroupId,
    user: &UserId,
) -> Result<u64, GroupError> {
    expect_known(tx, id, user)?;
    let admins = Admins::before(tx)?;
    if !tx.remove_member(id, user)? {
        return Ok(log::nothing_changed(tx)?);
    }
    if !admins.are_left(tx)? {
        return Err(GroupError::LastAdmin);
    }
    record(tx, env, actor, "member_removed", user)
}

fn record(
    tx: &mut dyn Tx,
    env: Env<'_>,
    actor: &Actor,
    action: &'static str,
    user: &UserId,
) -> Result<u64, GroupError> {
    tx.append_audit(&AuditEntry { subject: user.to_string(), ..actor.entry(action, "ok") }, env.now)?;
    Ok(Affected::one(Subject::User(user.clone())).append(tx, env)?)
}

fn expect_known(tx: &dyn Tx, id: &GroupId, user: &UserId) -> Result<(), GroupError> {
    if tx.group(id)?.is_none() {
        return Err(GroupError::Unknown);
    }
    if tx.user(user)?.is_none() {
        return Err(GroupError::UnknownUser);
    }
    Ok(())
}

fn entry(actor: &Actor, action: &'static str, id: &GroupId) -> AuditEntry {
    AuditEntry { subject: id.to_string(), ..actor.entry(action, "ok") }
}
