//! `propusk role`.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;

use super::{LimitArgs, SeenArgs, SureArgs, WaitArgs};

/// `propusk role`.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// The roles of a service and what they permit.
    List {
        /// The service.
        service: String,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// What a role permits, by itself and by what it inherits.
    Show {
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
    },
    /// Make a role, or say anew what it permits: exactly what is named.
    Define {
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        /// What it permits, as in `cars:buy`. May be repeated.
        #[arg(long = "permit", value_name = "PERMISSION")]
        permissions: Vec<String>,
        /// A role of the same service whose permissions it has too. May be repeated.
        #[arg(long = "inherit", value_name = "ROLE")]
        inherits: Vec<String>,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Delete a role: whoever has it loses it.
    Delete {
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        #[command(flatten)]
        sure: SureArgs,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a role permit something more.
    Permit {
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        /// As in `cars:delete`.
        permission: String,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a role permit something no more.
    Forbid {
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        /// As in `cars:delete`.
        permission: String,
        #[command(flatten)]
        seen: SeenArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give a role to a person, a group or a client.
    Give {
        /// A person by id or name, `group:NAME` or `client:ID`.
        #[arg(value_name = "HOLDER")]
        holder: HolderArg,
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take a role away from a person, a group or a client.
    Take {
        /// A person by id or name, `group:NAME` or `client:ID`.
        #[arg(value_name = "HOLDER")]
        holder: HolderArg,
        /// As in `cars/buyer`.
        #[arg(value_name = "SERVICE/ROLE")]
        role: RoleArg,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

/// A role by its service and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleArg {
    pub(crate) service: String,
    pub(crate) name: String,
}

impl FromStr for RoleArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((service, name)) if !service.is_empty() && !name.is_empty() => {
                Ok(Self { service: service.to_owned(), name: name.to_owned() })
            }
            _ => Err("a role is SERVICE/ROLE, as in cars/buyer"),
        }
    }
}

impl fmt::Display for RoleArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.name)
    }
}

/// Who has roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HolderArg {
    /// By id or name.
    User(String),
    Group(String),
    Client(String),
}

impl FromStr for HolderArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (make, name): (fn(String) -> Self, _) = match text.split_once(':') {
            None => (Self::User, text),
            Some(("user", name)) => (Self::User, name),
            Some(("group", name)) => (Self::Group, name),
            Some(("client", name)) => (Self::Client, name),
            Some(_) => return Err("a holder is a person's id or name, user:NAME, group:NAME or client:ID"),
        };
        if name.is_empty() { Err("nobody is named") } else { Ok(make(name.to_owned())) }
    }
}

impl fmt::Display for HolderArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "{name}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Client(name) => write!(f, "client {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_with_their_service() {
        let role: RoleArg = "cars/buyer".parse().unwrap();
        assert_eq!((role.service.as_str(), role.name.as_str()), ("cars", "buyer"));
        for text in ["buyer", "/buyer", "cars/", ""] {
            text.parse::<RoleArg>().unwrap_err();
        }
    }

    #[test]
    fn holders_are_people_unless_they_say_otherwise() {
        let holder = |text: &str| text.parse::<HolderArg>();
        assert_eq!(holder("alice"), Ok(HolderArg::User("alice".to_owned())));
        assert_eq!(holder("user:client"), Ok(HolderArg::User("client".to_owned())));
        assert_eq!(holder("group:drivers"), Ok(HolderArg::Group("drivers".to_owned())));
        assert_eq!(holder("client:demo-m2m"), Ok(HolderArg::Client("demo-m2m".to_owned())));
        for text in ["group:", "", "gruop:drivers"] {
            holder(text).unwrap_err();
        }
    }
}
