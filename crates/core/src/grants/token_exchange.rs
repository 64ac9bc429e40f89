//! RFC 8693: a service turns its caller's token into one for the next service, and is named in it as the actor.
//!
//! Nothing is exchanged without a rule. The subject token must be for the exchanging service itself, and is judged
//! in the snapshot that the new token is minted from. The session carries over, so ending it ends both.

use propusk_verify::check::{CheckItem, CheckVerdict};
use propusk_verify::token::{Act, VerifiedToken};

use super::{GrantError, TokenSet, expect_allowed};
use crate::env::Env;
use crate::id::{SessionId, Subject};
use crate::log;
use crate::mint::{self, MintRequest};
use crate::settings::Settings;
use crate::store::{Client, ExchangeRule, GrantType, SubjectKind, Tx};
use crate::target::{self, Target, TargetError};

/// The longest chain of actors that a token may name.
const MAX_ACTORS: usize = 4;

/// Prepares a token for the next service. The signature, issuer and times of `subject_token` were checked, against
/// the ring of its own audience.
///
/// # Errors
/// [`GrantError`].
pub fn grant(
    tx: &dyn Tx,
    env: Env<'_>,
    settings: &Settings,
    client: &Client,
    subject_token: &VerifiedToken,
    target: &Target,
) -> Result<TokenSet, GrantError> {
    let client = tx.client(&client.id)?.filter(|client| !client.disabled).ok_or(GrantError::UnauthorizedClient)?;
    expect_allowed(&client, GrantType::TokenExchange)?;
    let audience = target::named(tx, target)?.ok_or(TargetError::Ambiguous)?;
    let rule =
        tx.exchange_rule(&client.id, &audience.id)?.ok_or_else(|| GrantError::NoExchangeRule(audience.id.clone()))?;
    let claims = subject_token.claims();
    let subject = claims.sub.parse::<Subject>().map_err(|error| invalid(error.to_string()))?;
    expect_rule_covers(&rule, &client, &claims.aud, &subject)?;
    if log::floor_has_passed(tx, claims.exp)? {
        return Err(invalid("expired"));
    }
    match log::judge(tx, &CheckItem::of(subject_token))? {
        CheckVerdict::Good { .. } => {}
        CheckVerdict::Refused => return Err(invalid("revoked")),
        CheckVerdict::Stale => return Err(invalid("stale: refresh it")),
    }
    if claims.actors().count() >= MAX_ACTORS {
        return Err(invalid("its chain of actors is too long"));
    }
    let sid = claims.sid.as_deref().map(str::parse::<SessionId>).transpose();
    let request = MintRequest {
        subject,
        client: client.id.clone(),
        audience,
        sid: sid.map_err(|error| invalid(error.to_string()))?,
        act: Some(Act { sub: client.id.to_string(), act: claims.act.clone().map(Box::new) }),
        not_after: Some(claims.exp),
    };
    Ok(TokenSet { access: mint::prepare(tx, env, settings, &request)?, refresh: None })
}

fn expect_rule_covers(rule: &ExchangeRule, client: &Client, aud: &str, subject: &Subject) -> Result<(), GrantError> {
    if aud != client.id.as_str() {
        return Err(invalid("its audience is not the client that exchanges it"));
    }
    let kind = match subject {
        Subject::User(_) => SubjectKind::User,
        Subject::Client(_) => SubjectKind::Client,
    };
    let covered = rule.subjects.contains(&kind) && rule.from.iter().any(|from| from.as_str() == aud);
    if covered { Ok(()) } else { Err(GrantError::NoExchangeRule(rule.audience.clone())) }
}

fn invalid(reason: impl Into<String>) -> GrantError {
    GrantError::InvalidSubjectToken(reason.into())
}
