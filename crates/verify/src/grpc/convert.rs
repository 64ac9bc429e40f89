//! Between the messages on the wire and ours.

use std::sync::Arc;
use std::time::Duration;

use super::proto;
use crate::check::{CheckItem, CheckReply, CheckUnavailable, CheckVerdict};
use crate::feed::{Batch, Change, Event, Grant, PolicyTable};
use crate::jose::KeyRing;

impl From<CheckItem> for proto::CheckItem {
    fn from(item: CheckItem) -> Self {
        Self {
            aud: item.aud,
            jti: item.jti,
            sid: item.sid.unwrap_or_default(),
            sub: item.sub,
            client_id: item.client_id,
            actors: item.actors,
            epoch: item.epoch,
            kid: item.kid,
        }
    }
}

impl TryFrom<proto::CheckReply> for CheckReply {
    type Error = CheckUnavailable;

    fn try_from(reply: proto::CheckReply) -> Result<Self, CheckUnavailable> {
        let answers = reply.answers.into_iter().map(verdict).collect::<Result<_, _>>()?;
        Ok(Self { as_of_seq: reply.as_of_seq, floor: reply.floor, answers })
    }
}

fn verdict(answer: proto::CheckAnswer) -> Result<CheckVerdict, CheckUnavailable> {
    match answer.verdict() {
        proto::Verdict::Good => Ok(CheckVerdict::Good { roles: answer.roles, permissions: answer.permissions }),
        proto::Verdict::Refused => Ok(CheckVerdict::Refused),
        proto::Verdict::Stale => Ok(CheckVerdict::Stale),
        proto::Verdict::Unspecified => Err(CheckUnavailable("a verdict that we do not know".to_owned())),
    }
}

/// A message that is not of our protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the authority sent what is not of our protocol: {0}")]
pub struct Malformed(&'static str);

impl TryFrom<proto::Batch> for Batch {
    type Error = Malformed;

    fn try_from(batch: proto::Batch) -> Result<Self, Malformed> {
        Ok(Self {
            from: batch.from,
            to: batch.to,
            floor: batch.floor,
            events: batch.events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?,
            part: batch.part,
            last: batch.last,
        })
    }
}

impl TryFrom<proto::Event> for Event {
    type Error = Malformed;

    fn try_from(event: proto::Event) -> Result<Self, Malformed> {
        use proto::event::Change as Sent;
        // An event that we do not know could be a revocation: going on without it would be wrong.
        let change = match event.change.ok_or(Malformed("an event of an unknown kind"))? {
            Sent::TokenRevoked(jti) => Change::TokenRevoked(jti),
            Sent::SessionRevoked(sid) => Change::SessionRevoked(sid),
            Sent::SubjectChanged(sub) => Change::SubjectChanged(sub),
            Sent::SubjectEnded(sub) => Change::SubjectEnded(sub),
            Sent::AllChanged(aud) => Change::AllChanged(aud),
            Sent::KeyRevoked(kid) => Change::KeyRevoked(kid),
            Sent::KeysChanged(keys) => {
                let ring = KeyRing::from_jwks(&keys.jwks).map_err(|_| Malformed("a key set"))?;
                Change::KeysChanged { aud: keys.aud, ring: Arc::new(ring) }
            }
            Sent::PolicyChanged(policy) => {
                let table = policy.roles.into_iter().map(|role| (role.role, role.permissions)).collect();
                Change::PolicyChanged { aud: policy.aud, table: Arc::new(PolicyTable(table)) }
            }
        };
        Ok(Self { seq: event.seq, until: event.until, change })
    }
}

impl From<proto::Grant> for Grant {
    fn from(grant: proto::Grant) -> Self {
        Self {
            n: grant.n,
            head: grant.head,
            lease: Duration::from_millis(grant.lease_ms),
            age: Duration::from_millis(grant.age_ms),
            floor: grant.floor,
        }
    }
}
