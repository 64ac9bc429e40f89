//! The claims of an access token, each of its exact JSON type.

use serde::{Deserialize, Serialize};

use crate::jose::{Json, Object};
use crate::reason::{Claim, Reason};

/// The longest chain of actors.
pub const MAX_ACTORS: usize = 8;

/// The claims of an access token (RFC 9068 section 2.2, and ours). Times are NumericDate: whole seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// Whom the token speaks for: a person (`u_…`) or a client.
    pub sub: String,
    /// The one service that it is for.
    pub aud: String,
    /// The client that asked for it.
    pub client_id: String,
    /// When it was issued.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
    /// When it begins to hold, if not at once.
    pub nbf: Option<u64>,
    /// Its own id.
    pub jti: String,
    /// The head of the authority's log in the snapshot that it was minted from: what changed later hits it.
    pub epoch: u64,
    /// The subject's roles for `aud` when it was minted.
    pub roles: Vec<String>,
    /// Granted scope, space-separated.
    pub scope: Option<String>,
    /// The session that it belongs to; people only.
    pub sid: Option<String>,
    /// Who acts for the subject (RFC 8693 section 4.1).
    pub act: Option<Act>,
}

/// An actor, and who acted before it.
///
/// Only the outermost actor may drive a decision; those inside are history (RFC 8693 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who acts.
    pub sub: String,
    /// Who acted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

impl Act {
    /// The actors, outermost first.
    pub fn actors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self), |act| act.act.as_deref()).map(|act| act.sub.as_str())
    }
}

impl AccessClaims {
    /// Whether the subject is a person. The ids of people begin with `u_`, and those of no client do.
    pub fn is_person(&self) -> bool {
        self.sub.starts_with("u_")
    }

    /// The actors, outermost (the current one) first.
    pub fn actors(&self) -> impl Iterator<Item = &str> {
        self.act.iter().flat_map(Act::actors)
    }

    /// The current actor.
    pub fn actor(&self) -> Option<&str> {
        self.act.as_ref().map(|act| act.sub.as_str())
    }

    /// Reads every claim strictly: a claim of another type is refused, never ignored.
    pub(super) fn read(claims: &Object<'_>) -> Result<Self, Reason> {
        if claims.contains_key("cnf") {
            return Err(Reason::Confirmation);
        }
        Ok(Self {
            iss: string(claims, Claim::Iss)?,
            sub: string(claims, Claim::Sub)?,
            aud: string(claims, Claim::Aud)?,
            client_id: string(claims, Claim::ClientId)?,
            iat: number(claims, Claim::Iat)?,
            exp: number(claims, Claim::Exp)?,
            nbf: optional(claims, Claim::Nbf, number)?,
            jti: string(claims, Claim::Jti)?,
            epoch: number(claims, Claim::Epoch)?,
            roles: optional(claims, Claim::Roles, strings)?.unwrap_or_default(),
            scope: optional(claims, Claim::Scope, text)?,
            sid: optional(claims, Claim::Sid, string)?,
            act: claims.get(Claim::Act.name()).map(read_act).transpose()?,
        })
    }
}

fn get<'a, 'b>(claims: &'a Object<'b>, claim: Claim) -> Result<&'a Json<'b>, Reason> {
    claims.get(claim.name()).ok_or(Reason::Missing(claim))
}

fn optional<T>(
    claims: &Object<'_>,
    claim: Claim,
    read: fn(&Object<'_>, Claim) -> Result<T, Reason>,
) -> Result<Option<T>, Reason> {
    if claims.contains_key(claim.name()) { read(claims, claim).map(Some) } else { Ok(None) }
}

/// A string, perhaps empty.
fn text(claims: &Object<'_>, claim: Claim) -> Result<String, Reason> {
    get(claims, claim)?.as_str().map(str::to_owned).ok_or(Reason::Type(claim))
}

/// An identifier: a string with something in it.
fn string(claims: &Object<'_>, claim: Claim) -> Result<String, Reason> {
    text(claims, claim).and_then(|text| if text.is_empty() { Err(Reason::Type(claim)) } else { Ok(text) })
}

/// A whole number that is not negative. `"1700000000"` and `1.7e9` are none.
fn number(claims: &Object<'_>, claim: Claim) -> Result<u64, Reason> {
    get(claims, claim)?.as_u64().ok_or(Reason::Type(claim))
}

fn strings(claims: &Object<'_>, claim: Claim) -> Result<Vec<String>, Reason> {
    let items = get(claims, claim)?.as_array().ok_or(Reason::Type(claim))?;
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(Reason::Type(claim))).collect()
}

/// Reads the chain of actors from outside in, at most [`MAX_ACTORS`] of them.
fn read_act(value: &Json<'_>) -> Result<Act, Reason> {
    let mut subjects = Vec::new();
    let mut next = Some(value);
    while let Some(value) = next {
        if subjects.len() == MAX_ACTORS {
            return Err(Reason::ActDepth);
        }
        let act = value.as_object().ok_or(Reason::Type(Claim::Act))?;
        let sub = act.get("sub").and_then(Json::as_str).filter(|sub| !sub.is_empty());
        subjects.push(sub.ok_or(Reason::Type(Claim::Act))?);
        next = act.get("act");
    }
    let chain =
        subjects.into_iter().rev().fold(None, |inner, sub| Some(Act { sub: sub.to_owned(), act: inner.map(Box::new) }));
    chain.ok_or(Reason::Type(Claim::Act))
}
