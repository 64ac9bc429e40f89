//! Messages on their way, and everything else that is going to happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use propusk_verify::feed::{Batch, Grant, Instance, Renew, Subscribe};

use super::clock::{Chance, MS, S, Time};

/// What is going to happen.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// To the authority.
    ToAuthority(ToAuthority),
    /// To whoever is this instance by then.
    ToVerifier(usize, Instance, ToVerifier),
    /// A verifier renews, and connects again where it has to.
    Renewal(usize),
    /// A verifier goes on with what it publishes.
    Publish(usize, u32),
    /// A verifier begins a decision.
    Decide(usize),
    /// A decision goes on; of which run of the process.
    DecideOn(usize, u32, u64),
    /// Something is revoked.
    Revoke,
    /// The authority looks at who waits.
    Look,
    /// Something goes wrong.
    Fault,
    /// The authority is started again.
    Start,
}

#[derive(Debug, Clone)]
pub(super) enum ToAuthority {
    /// With the number of the connection.
    Subscribe(usize, u32, Subscribe),
    Renew(usize, Renew),
    Ack(Instance, u64),
    Release(Instance),
}

#[derive(Debug, Clone)]
pub(super) enum ToVerifier {
    /// With the number of the connection that it is sent over.
    Batch(u32, Batch),
    Grant(Grant),
}

/// The future, soonest first.
#[derive(Debug, Default)]
pub(super) struct Future {
    order: BinaryHeap<Reverse<(Time, usize)>>,
    happenings: Vec<Option<Happening>>,
}

impl Future {
    pub(super) fn at(&mut self, time: Time, happening: Happening) {
        self.order.push(Reverse((time, self.happenings.len())));
        self.happenings.push(Some(happening));
    }

    pub(super) fn next(&mut self) -> Option<(Time, Happening)> {
        let Reverse((time, number)) = self.order.pop()?;
        self.happenings[number].take().map(|happening| (time, happening))
    }

    /// Sends: soon, late, twice or never.
    pub(super) fn send(&mut self, now: Time, chance: &mut Chance, message: &Happening) {
        let copies = if chance.one_in(20) {
            0
        } else if chance.one_in(20) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = if chance.one_in(10) { chance.between(0, 6 * S) } else { chance.between(0, 20 * MS) };
            self.at(now + delay, message.clone());
        }
    }
}
