//! People on their way from one system to another, with the hashes of their passwords: import and export.
//!
//! **Importing the same again changes nothing.** A person who comes without an id gets one that is made of all that is said
//! about them. So whoever was imported is known by it afterwards, whatever has changed about them in the meantime, and an
//! import that was cut off is simply done again. Nor does it bring anybody back: ids of deleted people are not used
//! twice.

use std::collections::BTreeSet;

use aws_lc_rs::digest;

use crate::audit::Actor;
use crate::env::{Env, Timestamp};
use crate::groups::{self, GroupError};
use crate::id::{GroupId, UserId};
use crate::password::{HashError, StoredHash};
use crate::store::{AuditEntry, GoneId, Holder, Page, RoleGrant, StoreError, Tx, User};
use crate::username::{self, UsernameError};
use crate::users::normal_email;

/// A person as a file tells of them, unchecked.
#[derive(Clone, Default)]
pub struct Told {
    /// An id from an export.
    pub id: Option<String>,
    /// To sign in with.
    pub username: String,
    /// E-mail address.
    pub email: Option<String>,
    /// In any form that [`StoredHash`] reads.
    pub password_hash: Option<String>,
    /// Whether this person may not sign in.
    pub disabled: bool,
    /// As in `cars/buyer`.
    pub roles: Vec<String>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

/// A person who can be taken over.
#[derive(Clone)]
pub struct Person {
    /// The id to keep.
    pub id: Option<UserId>,
    /// In its stored form.
    pub username: String,
    /// Its domain lower-cased.
    pub email: Option<String>,
    /// Of a kind that is known, and at a bounded cost.
    pub password_hash: Option<String>,
    /// Whether this person may not sign in.
    pub disabled: bool,
    /// The roles this person was given, not those of groups.
    pub roles: BTreeSet<RoleGrant>,
    /// The groups this person is in.
    pub groups: BTreeSet<GroupId>,
    /// When this person registered.
    pub created_at: Option<Timestamp>,
}

/// Why a person was not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member that cannot be what it is to be.
    #[error("{member} {problem}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong, or what would be right.
        problem: String,
    },
    /// Somebody else has the username.
    #[error("username is taken")]
    UsernameTaken,
    /// Somebody else has the id.
    #[error("id is another person's")]
    IdTaken,
    /// Whoever had the id was deleted.
    #[error("this person was deleted here, and nobody gets a deleted person's id")]
    Deleted,
    /// A service has no such role, or there is no such service.
    #[error("roles: there is no {0}")]
    UnknownRole(String),
}

/// What became of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// A new person.
    Created(UserId),
    /// The same was imported before; nothing was changed.
    Exists(UserId),
    /// Nothing was written.
    Refused(Refusal),
}

impl Told {
    /// Checks what is told.
    ///
    /// # Errors
    /// The first member that is wrong.
    pub fn checked(self) -> Result<Person, Refusal> {
        let wrong = |member, problem: &dyn std::fmt::Display| Refusal::Member { member, problem: problem.to_string() };
        let username =
            username::stored_form(&self.username).map_err(|error: UsernameError| wrong("username", &error))?;
        let email = match &self.email {
            Some(text) => {
                Some(normal_email(text).ok_or_else(|| wrong("email", &"is an address like name@example.org"))?)
            }
            None => None,
        };
        if let Some(hash) = &self.password_hash {
            let checked = StoredHash::parse(hash).and_then(|hash| hash.expect_bounded());
            checked.map_err(|error: HashError| wrong("password_hash", &error))?;
        }
        let id = self.id.map(|id| id.parse::<UserId>()).transpose().map_err(|error| wrong("id", &error))?;
        let roles =
            self.roles.iter().map(|text| role(text).ok_or_else(|| wrong("roles", &"are of the form service/role")));
        let groups = self.groups.iter().map(|text| text.parse::<GroupId>().map_err(|error| wrong("groups", &error)));
        let created_at = self
            .created_at
            .as_deref()
            .map(|text| time(text).ok_or_else(|| wrong("created_at", &"is a time like 2026-11-22T14:00:00Z")));
        Ok(Person {
            id,
            username,
            email,
            password_hash: self.password_hash,
            disabled: self.disabled,
            roles: roles.collect::<Result<_, _>>()?,
            groups: groups.collect::<Result<_, _>>()?,
            created_at: created_at.transpose()?,
        })
    }
}

fn role(text: &str) -> Option<RoleGrant> {
    let (service, role) = text.split_once('/')?;
    Some(RoleGrant { service: service.parse().ok()?, role: role.parse().ok()? })
}

fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

impl Person {
    /// The id that all that is said of this person makes.
    fn derived_id(&self) -> UserId {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |part: &str| {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        };
        add("propusk import v1");
        add(&self.username);
        add(self.email.as_deref().unwrap_or_default());
        add(self.password_hash.as_deref().unwrap_or_default());
        add(if self.disabled { "disabled" } else { "" });
        self.roles.iter().for_each(|role| add(&shown(role)));
        add("groups");
        self.groups.iter().for_each(|group| add(group.as_str()));
        add(&self.created_at.map(|at| at.0.to_string()).unwrap_or_default());
        let digest = context.finish();
        UserId::of_bits(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// A role as files name it.
pub fn shown(role: &RoleGrant) -> String {
    format!("{}/{}", role.service, role.role)
}

/// Takes a person over. Groups that are missing are made, for without roles they permit nothing; roles have to be there.
///
/// # Errors
/// When the store fails.
pub fn import(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, person: &Person) -> Result<Imported, StoreError> {
    let refused = |refusal| Ok(Imported::Refused(refusal));
    for role in &person.roles {
        if !tx.role_exists(role)? {
            return refused(Refusal::UnknownRole(shown(role)));
        }
    }
    let id = person.id.clone().unwrap_or_else(|| person.derived_id());
    if let Some(known) = tx.user(&id)? {
        let is_same = person.id.is_none() || known.username == person.username;
        return if is_same { Ok(Imported::Exists(id)) } else { refused(Refusal::IdTaken) };
    }
    if tx.is_gone(&GoneId::User(id.clone()))? {
        return refused(Refusal::Deleted);
    }
    let user = User {
        id: id.clone(),
        username: person.username.clone(),
        email: person.email.clone(),
        password_hash: person.password_hash.clone(),
        disabled: person.disabled,
        ended_seq: 0,
        created_at: person.created_at.unwrap_or(env.now).min(env.now),
        version: 1,
    };
    if !tx.insert_user(&user)? {
        return refused(Refusal::UsernameTaken);
    }
    let entry = |action| AuditEntry { subject: id.to_string(), ..actor.entry(action, "ok") };
    tx.append_audit(&entry("user_imported"), env.now)?;
    // No token of this person can be out: nothing turns from a yes into a no, and the log has nothing to tell.
    let holder = Holder::User(id.clone());
    for role in &person.roles {
        tx.give_role(&holder, role)?;
        let entry = AuditEntry { service: Some(role.service.to_string()), ..entry("role_given") };
        tx.append_audit(&entry, env.now)?;
    }
    for group in &person.groups {
        match groups::create(tx, env, actor, group.clone()) {
            Ok(_) | Err(GroupError::Exists) => {}
            Err(error) => return Err(StoreError::failed(error)),
        }
        tx.add_member(group, &id)?;
        tx.append_audit(&entry("member_added"), env.now)?;
    }
    Ok(Imported::Created(id))
}

/// People in order of id, with the hashes of their passwords. That they were read is in the audit log.
///
/// # Errors
/// When the store fails.
pub fn export(tx: &mut dyn Tx, env: Env<'_>, actor: &Actor, page: &Page) -> Result<Vec<Person>, StoreError> {
    tx.append_audit(&actor.entry("users_exported", "ok"), env.now)?;
    let mut people = Vec::new();
    for user in tx.users(page)? {
        people.push(Person {
            roles: tx.roles_of_holder(&Holder::User(user.id.clone()))?.into_iter().collect(),
            groups: tx.groups_of_user(&user.id)?.into_iter().collect(),
            id: Some(user.id),
            username: user.username,
            email: user.email,
            password_hash: user.password_hash,
            disabled: user.disabled,
            created_at: Some(user.created_at),
        });
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(username: &str) -> Told {
        Told { username: username.to_owned(), ..Told::default() }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let refusal = |told: Told| told.checked().err().expect("refused").to_string();
        assert!(refusal(told("a b")).starts_with("username has only letters"));
        assert!(refusal(Told { email: Some("@".to_owned()), ..told("a") }).starts_with("email is an address"));
        let hash = |text: &str| refusal(Told { password_hash: Some(text.to_owned()), ..told("a") });
        assert!(hash("5f4dcc3b5aa765d61d8327deb882cf99").starts_with("password_hash is of a kind that is not known"));
        assert!(
            hash("$pbkdf2-sha256$4000000000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA").starts_with("password_hash costs too much")
        );
        assert!(refusal(Told { id: Some("s_1".to_owned()), ..told("a") }).starts_with("id a user id begins with u_"));
        assert_eq!(
            refusal(Told { roles: vec!["buyer".to_owned()], ..told("a") }),
            "roles are of the form service/role"
        );
        assert!(
            refusal(Told { groups: vec!["G".to_owned()], ..told("a") }).starts_with("groups a group id begins with")
        );
        assert!(
            refusal(Told { created_at: Some("yesterday".to_owned()), ..told("a") }).starts_with("created_at is a time")
        );
    }

    #[test]
    fn the_same_said_in_another_way_is_the_same_person() {
        let one = Told { email: Some("a@Example.org".to_owned()), ..told("Alice") }.checked().ok().unwrap();
        let same = Told { email: Some("a@example.org".to_owned()), ..told("alice") }.checked().ok().unwrap();
        assert_eq!(one.derived_id(), same.derived_id());
        let role = Told { roles: vec!["cars/buyer".to_owned()], ..told("alice") }.checked().ok().unwrap();
        let group = Told { groups: vec!["buyer".to_owned()], ..told("alice") }.checked().ok().unwrap();
        let disabled = Told { disabled: true, ..told("alice") }.checked().ok().unwrap();
        let ids: BTreeSet<_> = [&one, &role, &group, &disabled].iter().map(|person| person.derived_id()).collect();
        assert_eq!(ids.len(), 4);
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_read_or_refused(texts in prop::collection::vec(prop::option::of("\\PC{0,40}"), 6)) {
            let text = |n: usize| texts.get(n).cloned().flatten();
            let told = Told {
                id: text(0),
                username: text(1).unwrap_or_default(),
                email: text(2),
                password_hash: text(3),
                disabled: false,
                roles: text(4).into_iter().collect(),
                groups: text(5).into_iter().collect(),
                created_at: text(3),
            };
            let _ = told.checked();
        }
    }
}
