//! The form of a compact JWS (RFC 7515 section 7.1), before any signature has been checked.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::plain::{self, PlainHeader};
use crate::jose::{Alg, Json, JsonError, Object, decode_into, is_alphabet, parse_object};
use crate::reason::Reason;

/// No token may be longer. Ours stay well under 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest `kid` that is looked up.
const MAX_KID_BYTES: usize = 128;

/// A text that has the form of a signed token. Nothing in it may be believed.
#[derive(Debug, Clone)]
pub struct UnverifiedToken<'a> {
    signing_input: &'a str,
    header: Header,
    parts: Parts,
}

/// The three parts, decoded, one behind the other.
#[derive(Debug, Clone)]
struct Parts {
    bytes: Vec<u8>,
    /// Where the header ends, and where the payload does.
    ends: [usize; 2],
}

/// What we read of a header, each with what is wrong with it.
#[derive(Debug, Clone)]
struct Header {
    kind: Result<(), Reason>,
    alg: Result<Alg, Reason>,
    kid: Result<Arc<str>, Reason>,
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
        let (signing_input, parts) = split(raw).ok_or_else(|| fault(raw))?;
        let header = Header::read(parts.header())?;
        Ok(Self { signing_input, header, parts })
    }

    /// What the signature is over.
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The members of the header.
    pub fn header(&self) -> Map<String, Value> {
        parse_object(self.parts.header()).map(Object::into_map).unwrap_or_default()
    }

    /// The bytes that should be the claims.
    pub fn payload(&self) -> &[u8] {
        let [header, payload] = self.parts.ends;
        self.parts.bytes.get(header..payload).unwrap_or_default()
    }

    /// The bytes that should be the signature.
    pub fn signature(&self) -> &[u8] {
        self.parts.bytes.get(self.parts.ends[1]..).unwrap_or_default()
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
    pub(crate) fn kid(&self) -> Result<&Arc<str>, Reason> {
        self.header.kid.as_ref().map_err(|reason| *reason)
    }
}

impl Parts {
    fn header(&self) -> &[u8] {
        self.bytes.get(..self.ends[0]).unwrap_or_default()
    }
}

/// The signing input and the three parts, decoded.
fn split(raw: &str) -> Option<(&str, Parts)> {
    let (signing_input, signature) = raw.rsplit_once('.')?;
    let (header, payload) = signing_input.split_once('.')?;
    let mut bytes = vec![0; raw.len()];
    let header = decode_into(header, &mut bytes)?;
    let payload = header + decode_into(payload, bytes.get_mut(header..)?)?;
    let signature = payload + decode_into(signature, bytes.get_mut(payload..)?)?;
    bytes.truncate(signature);
    Some((signing_input, Parts { bytes, ends: [header, payload] }))
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
        if let Some(PlainHeader { alg, kid, typ }) = plain::header(bytes) {
            return Ok(Self { kind: kind(typ), alg: self::alg(alg), kid: self::kid(kid) });
        }
        let header = parse_object(bytes).map_err(|error| match error {
            JsonError::Syntax => Reason::HeaderJson,
            JsonError::Duplicate => Reason::HeaderDuplicate,
        })?;
        let text = |name| header.get(name).and_then(Json::as_str);
        let kind = kind(text("typ")).and_then(|()| check_demands(&header));
        Ok(Self { kind, alg: alg(text("alg")), kid: kid(text("kid")) })
    }
}

fn kind(typ: Option<&str>) -> Result<(), Reason> {
    // Media types are compared: without a slash, `application/` goes before; case does not count.
    let is_ours = |typ: &str| ["at+jwt", "application/at+jwt"].iter().any(|ours| ours.eq_ignore_ascii_case(typ));
    if typ.is_some_and(is_ours) { Ok(()) } else { Err(Reason::Typ) }
}

/// Nothing is asked for that we do not do, and nothing brought that we do not want.
fn check_demands(header: &Object<'_>) -> Result<(), Reason> {
    // `b64` changes what is signed (RFC 7797) and would have to be in `crit`.
    if ["crit", "b64"].iter().any(|name| header.contains_key(name)) {
        return Err(Reason::Crit);
    }
    if ["jwk", "jku", "x5c", "x5u"].iter().any(|name| header.contains_key(name)) {
        return Err(Reason::EmbeddedKey);
    }
    Ok(())
}

fn alg(name: Option<&str>) -> Result<Alg, Reason> {
    name.ok_or(Reason::AlgMissing)?.parse().map_err(|_| Reason::AlgNotAllowed)
}

fn kid(kid: Option<&str>) -> Result<Arc<str>, Reason> {
    let kid = kid.ok_or(Reason::KidMissing)?;
    let is_sane = (1..=MAX_KID_BYTES).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
    if is_sane { Ok(kid.into()) } else { Err(Reason::KidMissing) }
}
