//! Access tokens (RFC 9068): the pure function that checks one, and what it yields.
//!
//! Each kind of token has a validator of its own (RFC 8725 section 3.12); there is no generic "verify a JWT". This one
//! takes access tokens and nothing else. It has no clock and does no IO.

mod access;
mod claims;
mod form;
mod plain;

pub use access::{Profile, VerifiedToken, verify_access_token};
pub use claims::{AccessClaims, Act, MAX_ACTORS};
pub use form::{MAX_TOKEN_BYTES, UnverifiedToken};

pub use crate::reason::{Claim, Reason};

pub(crate) use access::check_expiry;
#[cfg(test)]
pub(crate) use access::verified;
