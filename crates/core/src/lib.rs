//! The authority's rules: people, sessions, grants, roles, clients, keys and the log.
//!
//! No IO happens here. An operation is a plain function over a transaction ([`store::Tx`]); time and randomness
//! come in through [`env::Env`]. HTTP never decides anything: it parses, calls one function of this crate, renders.
//!
//! An operation that appends to the log answers the position to wait for until its effect is enforced: that of its
//! own event, or the head where there was nothing to change.

pub mod audit;
pub mod clients;
pub mod cursor;
pub mod env;
pub mod exchange_rules;
pub mod feed;
pub mod grants;
pub mod groups;
pub mod id;
pub mod idempotency;
pub mod introspection;
pub mod keys;
pub mod log;
pub mod mint;
pub mod password;
pub mod recovery;
pub mod refresh_token;
pub mod registration;
pub mod revocation;
pub mod roles;
pub mod secret;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod target;
pub mod throttle;
pub mod transfer;
pub mod username;
pub mod users;
pub mod version;
