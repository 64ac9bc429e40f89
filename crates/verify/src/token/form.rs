//! The form of a compact JWS (RFC 7515 section 7.1), before any signature has been checked.

use serde_json::{Map, Value};

use crate::jose::{Alg, Json, JsonError, Object, decode, is_alphabet, parse_object};
use crate::reason::Reason;

/// No token may be longer. Ours stay well under 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest `kid` that is looked up.
const MAX_KID_BYTES: usize = 128;

/// A text that has the form of a signed token. Nothing in it may be believed.
#[derive(Debug, Clone)]
pub struct UnverifiedToken<'a> {
    signing_input: &'a str,
    header_bytes: Vec<u8>,
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What we read of a header, each with what is wrong with it.
#[derive(Debug, Clone)]
struct Header {
    kind: Result<(), Reason>,
    alg: Result<Alg, Reason>,
    kid: Result<String, Reason>,
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
        let (signing_input, [header_bytes, payload, signature]) = split(raw).ok_or_else(|| fault(raw))?;
        let header = Header::read(&header_bytes)?;
        Ok(Self { signing_input, header_bytes, header, payload, signature })
    }

    /// What the signature is over.
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The members of the header.
    pub fn header(&self) -> Map<String, Value> {
        parse_object(&self.header_bytes).map(Object::into_map).unwrap_or_default()
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
        self.header.kind
    }

    /// The algorithm, from the list of those that exist.
    pub(crate) fn alg(&self) -> Result<Alg, Reason> {
        self.header.alg
    }

    /// The name of the key. It is hostile input until the signature has been checked.
    pub(crate) fn kid(&self) -> Result<&str, Reason> {
        self.header.kid.as_deref().map_err(|reason| *reason)
    }
}

/// The signing input and the three parts, decoded.
fn split(raw: &str) -> Option<(&str, [Vec<u8>; 3])> {
    let (signing_input, signature) = raw.rsplit_once('.')?;
    let (header, payload) = signing_input.split_once('.')?;
    Some((signing_input, [decode(header)?, decode(payload)?, decode(signature)?]))
}

/// Why a text does not split into three decoded parts.
fn fault(raw: &str) -> Reason {
    if !raw.split('.').all(is_alphabet) {
        Reason::Alphabet
    } else if raw.split('.').count() != 3 {
        Reason::Segments
    } else {
        Reason::Base64
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let header = parse_object(bytes).map_err(|error| match error {
            JsonError::Syntax => Reason::HeaderJson,
            JsonError::Duplicate => Reason::HeaderDuplicate,
        })?;
        Ok(Self { kind: kind(&header), alg: alg(&header), kid: kid(&header) })
    }
}

fn kind(header: &Object<'_>) -> Result<(), Reason> {
    // Media types are compared: without a slash, `application/` goes before; case does not count.
    let typ = header.get("typ").and_then(Json::as_str).ok_or(Reason::Typ)?;
    if !["at+jwt", "application/at+jwt"].iter().any(|ours| ours.eq_ignore_ascii_case(typ)) {
        return Err(Reason::Typ);
    }
    // `b64` changes what is signed (RFC 7797) and would have to be in `crit`.
    if ["crit", "b64"].iter().any(|name| header.contains_key(name)) {
        return Err(Reason::Crit);
    }
    if ["jwk", "jku", "x5c", "x5u"].iter().any(|name| header.contains_key(name)) {
        return Err(Reason::EmbeddedKey);
    }
    Ok(())
}

fn alg(header: &Object<'_>) -> Result<Alg, Reason> {
    let name = header.get("alg").and_then(Json::as_str).ok_or(Reason::AlgMissing)?;
    name.parse().map_err(|_| Reason::AlgNotAllowed)
}

fn kid(header: &Object<'_>) -> Result<String, Reason> {
    let kid = header.get("kid").and_then(Json::as_str).ok_or(Reason::KidMissing)?;
    let is_sane = (1..=MAX_KID_BYTES).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
    if is_sane { Ok(kid.to_owned()) } else { Err(Reason::KidMissing) }
}
