//! The form of a compact JWS (RFC 7515 section 7.1), before any signature has been checked.

use serde_json::{Map, Value};

use crate::jose::{Alg, JsonError, decode, is_alphabet, parse_object};
use crate::reason::Reason;

/// No token may be longer. Ours stay well under 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest `kid` that is looked up.
const MAX_KID_BYTES: usize = 128;

/// A text that has the form of a signed token. Nothing in it may be believed.
#[derive(Debug, Clone)]
pub struct UnverifiedToken<'a> {
    signing_input: &'a str,
    header: Map<String, Value>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes the text apart. Size and characters are checked before anything is decoded, and each part has to be the
    /// one spelling of its bytes, so no two texts are the same token.
    ///
    /// # Errors
    /// The first [`Reason`] of form that applies.
    pub fn parse(raw: &'a str) -> Result<Self, Reason> {
        if raw.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLarge);
        }
        if !raw.split('.').all(is_alphabet) {
            return Err(Reason::Alphabet);
        }
        let mut parts = raw.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::Segments);
        };
        let signing_input = raw.get(..header.len() + 1 + payload.len()).ok_or(Reason::Segments)?;
        let [header, payload, signature] = [header, payload, signature].map(|part| decode(part).ok_or(Reason::Base64));
        let header = parse_object(&header?).map_err(|error| match error {
            JsonError::Syntax => Reason::HeaderJson,
            JsonError::Duplicate => Reason::HeaderDuplicate,
        })?;
        Ok(Self { signing_input, header, payload: payload?, signature: signature? })
    }

    /// What the signature is over.
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The members of the header.
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The bytes that should be the claims.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that should be the signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the header says that it is an access token, and asks for nothing that we do not do.
    pub(crate) fn check_kind(&self) -> Result<(), Reason> {
        self.check_typ()?;
        // `b64` changes what is signed (RFC 7797) and would have to be in `crit`.
        if ["crit", "b64"].iter().any(|name| self.header.contains_key(*name)) {
            return Err(Reason::Crit);
        }
        if ["jwk", "jku", "x5c", "x5u"].iter().any(|name| self.header.contains_key(*name)) {
            return Err(Reason::EmbeddedKey);
        }
        Ok(())
    }

    /// Compares media types: without a slash, `application/` goes before; case does not count.
    fn check_typ(&self) -> Result<(), Reason> {
        let typ = self.header.get("typ").and_then(Value::as_str).ok_or(Reason::Typ)?;
        let is_access_token = ["at+jwt", "application/at+jwt"].iter().any(|ours| ours.eq_ignore_ascii_case(typ));
        if is_access_token { Ok(()) } else { Err(Reason::Typ) }
    }

    /// The algorithm, from the list of those that exist.
    pub(crate) fn alg(&self) -> Result<Alg, Reason> {
        let name = self.header.get("alg").and_then(Value::as_str).ok_or(Reason::AlgMissing)?;
        name.parse().map_err(|_| Reason::AlgNotAllowed)
    }

    /// The name of the key. It is hostile input until the signature has been checked.
    pub(crate) fn kid(&self) -> Result<&str, Reason> {
        let kid = self.header.get("kid").and_then(Value::as_str).ok_or(Reason::KidMissing)?;
        let is_sane = (1..=MAX_KID_BYTES).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sane { Ok(kid) } else { Err(Reason::KidMissing) }
    }
}
