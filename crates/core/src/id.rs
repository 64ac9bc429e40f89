//! The registry of ids: every kind of id has a type of its own, so that one can never stand in for another.
//!
//! Ids are opaque text. User ids begin with `u_`, session ids with `s_`; a client id may begin with neither, so
//! that the two kinds of token subject never meet.

use std::fmt;
use std::str::FromStr;

use crate::env::Random;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {problem}")]
pub struct IdError {
    kind: &'static str,
    problem: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($kind:literal, $check:path);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $check(text).map_err(|problem| IdError { kind: $kind, problem })?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A person. The `sub` of that person's tokens.
    UserId("a user id", user_id);
    /// A sign-in of a person at one client: the family of its refresh tokens. The claim `sid`.
    SessionId("a session id", session_id);
    /// An OAuth client. The claim `client_id`, and the `sub` of tokens that the client gets for itself.
    ClientId("a client id", client_id);
    /// A service, which is an audience: the claim `aud`.
    ServiceId("a service id", name);
    /// A set of people who hold roles together.
    GroupId("a group id", name);
    /// A role within one service.
    RoleName("a role", name);
    /// A permission, `service:action` by convention; `service:*` covers all of a service.
    Permission("a permission", permission);
    /// A signing key. The header member `kid`.
    Kid("a key id", opaque);
    /// One access token. The claim `jti`.
    Jti("a token id", opaque);
}

fn opaque(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 128 {
        return Err("has 1 to 128 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Err("has only ASCII letters, digits and ._-");
    }
    Ok(())
}

fn user_id(text: &str) -> Result<(), &'static str> {
    opaque(text)?;
    if text.starts_with("u_") { Ok(()) } else { Err("begins with u_") }
}

fn session_id(text: &str) -> Result<(), &'static str> {
    opaque(text)?;
    if text.starts_with("s_") { Ok(()) } else { Err("begins with s_") }
}

fn client_id(text: &str) -> Result<(), &'static str> {
    opaque(text)?;
    if text.starts_with("u_") || text.starts_with("s_") {
        return Err("begins with neither u_ nor s_");
    }
    Ok(())
}

fn name(text: &str) -> Result<(), &'static str> {
    opaque(text)?;
    if text.len() > 64 {
        return Err("has at most 64 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("begins with a lower-case letter");
    }
    Ok(())
}

fn permission(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 128 {
        return Err("has 1 to 128 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:*".contains(&b)) {
        return Err("has only ASCII letters, digits and ._-:*");
    }
    Ok(())
}

/// 128 random bits as text: 22 characters of base64url.
fn random_text(random: &dyn Random) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    let mut bits = [0_u8; 16];
    random.fill(&mut bits);
    Base64UrlUnpadded::encode_string(&bits)
}

impl UserId {
    /// A new id of 128 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(format!("u_{}", random_text(random)))
    }

    /// The id that is made of these bits: for somebody who is to have the same id whenever the same thing is said.
    pub(crate) fn of_bits(bits: [u8; 16]) -> Self {
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        Self(format!("u_{}", Base64UrlUnpadded::encode_string(&bits)))
    }
}

impl SessionId {
    /// A new id of 128 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(format!("s_{}", random_text(random)))
    }
}

impl ClientId {
    /// A new id of 128 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(format!("c_{}", random_text(random)))
    }
}

impl Jti {
    /// A new id of 128 random bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random_text(random))
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A person.
    User(UserId),
    /// A client that acts for itself.
    Client(ClientId),
}

impl Subject {
    /// The claim `sub`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Client(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Subject {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.starts_with("u_") { text.parse().map(Self::User) } else { text.parse().map(Self::Client) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_kinds_of_subject_never_meet() {
        assert!("u_alice".parse::<ClientId>().is_err());
        assert!("s_1".parse::<ClientId>().is_err());
        assert!("gateway".parse::<UserId>().is_err());
        assert_eq!("u_1".parse::<Subject>(), Ok(Subject::User("u_1".parse().unwrap())));
        assert_eq!("cars".parse::<Subject>(), Ok(Subject::Client("cars".parse().unwrap())));
    }

    #[test]
    fn errors_name_what_would_be_right() {
        let error = "Bad Name".parse::<ServiceId>().unwrap_err();
        assert_eq!(error.to_string(), "a service id has only ASCII letters, digits and ._-");
    }
}
