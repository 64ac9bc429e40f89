//! Whom a change of roles or groups concerns, and what the log is told of it.

use std::collections::BTreeSet;

use crate::env::Env;
use crate::id::{GroupId, ServiceId, Subject};
use crate::log::{self, Change};
use crate::store::{Holder, Page, RoleGrant, StoreError, Tx};

/// A change to more subjects than these is one event about everybody.
const MOST_SUBJECTS: usize = 10_000;

/// Those whose tokens say what is no longer so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Affected {
    /// These.
    Subjects(BTreeSet<Subject>),
    /// Too many to name: everybody at these services.
    Everybody(BTreeSet<ServiceId>),
}

impl Affected {
    /// A holder of a role, or everybody in the group that holds it.
    pub(crate) fn by_role_of(tx: &dyn Tx, holder: &Holder, service: &ServiceId) -> Result<Self, StoreError> {
        Ok(match holder {
            Holder::User(id) => Self::one(Subject::User(id.clone())),
            Holder::Client(id) => Self::one(Subject::Client(id.clone())),
            Holder::Group(id) => Self::of(members(tx, id)?, [service.clone()].into()),
        })
    }

    /// Whoever has a role.
    pub(crate) fn by_role(tx: &dyn Tx, role: &RoleGrant) -> Result<Self, StoreError> {
        Ok(Self::of(tx.subjects_of_role(role, MOST_SUBJECTS + 1)?, [role.service.clone()].into()))
    }

    /// Everybody in a group.
    pub(crate) fn by_group(tx: &dyn Tx, group: &GroupId) -> Result<Self, StoreError> {
        let roles = tx.roles_of_holder(&Holder::Group(group.clone()))?;
        Ok(Self::of(members(tx, group)?, roles.into_iter().map(|role| role.service).collect()))
    }

    /// One subject.
    pub(crate) fn one(subject: Subject) -> Self {
        Self::Subjects([subject].into())
    }

    fn of(subjects: Vec<Subject>, services: BTreeSet<ServiceId>) -> Self {
        if subjects.len() > MOST_SUBJECTS {
            Self::Everybody(services)
        } else {
            Self::Subjects(subjects.into_iter().collect())
        }
    }

    /// Appends what makes their tokens stale, after every other write of the transaction. Answers the position of the
    /// last event, or the head if it concerns nobody.
    pub(crate) fn append(self, tx: &mut dyn Tx, env: Env<'_>) -> Result<u64, StoreError> {
        let changes: Vec<Change> = match self {
            Self::Subjects(subjects) => subjects.into_iter().map(Change::SubjectChanged).collect(),
            Self::Everybody(services) => services.into_iter().map(|aud| Change::AllChanged(Some(aud))).collect(),
        };
        let mut last = None;
        for change in &changes {
            last = Some(log::append(tx, env, change)?);
        }
        last.map_or_else(|| log::nothing_changed(tx), Ok)
    }
}

fn members(tx: &dyn Tx, group: &GroupId) -> Result<Vec<Subject>, StoreError> {
    let members = tx.members_of_group(group, &Page { after: None, limit: MOST_SUBJECTS + 1 })?;
    Ok(members.into_iter().map(Subject::User).collect())
}
