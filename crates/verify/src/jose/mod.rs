//! JOSE as far as compact, signed tokens need it: algorithms, keys, key rings, strict base64url and JSON.
//!
//! Written here and not taken from a library, because each check has to name its own reason, and because a key must
//! decide which algorithm it is used with, never a header that an attacker wrote (RFC 8725 section 3.1).

mod alg;
mod base64url;
mod json;
mod key;
mod pem;
mod ring;

pub use alg::{Alg, UnknownAlg};
pub use key::{KeyError, Kid, VerifyingKey};
pub use ring::KeyRing;

#[cfg(test)]
pub(crate) use base64url::decode;
pub(crate) use base64url::{decode_into, is_alphabet};
pub(crate) use json::{Json, JsonError, Object, parse_object};
