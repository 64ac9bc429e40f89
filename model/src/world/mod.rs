//! One authority and two verifiers, over a network that loses, repeats, delays and reorders, on clocks that drift.
//!
//! Every process takes its steps by the state machines that ship: [`Registry`], [`Answer`] and [`Wait`] on the side of
//! the authority, [`Follower`], [`Publication`], [`View`] and [`EndpointDecision`] on that of the verifiers. The model
//! adds what is around them, and lets it do its worst:
//!
//! * A message that was sent stays in the network for ever and may arrive at any time, any number of times, or never.
//! * A process that is frozen, or whose machine sleeps, is one whose turn does not come; it needs no step of its own.
//! * A process that is started again has lost what was in its memory. The authority keeps its log.
//! * Time goes on only by [`Action::Tick`]. In each tick every clock advances by its own rate, within the bound ρ.
//! * What is asked of the authority over and over (whether a change is enforced) is asked after every single step, so
//!   it is answered as early as it can be.
//!
//! [`Registry`]: propusk_core::feed::Registry
//! [`Answer`]: propusk_core::feed::Answer
//! [`Wait`]: propusk_core::feed::Wait
//! [`Follower`]: propusk_verify::feed::Follower
//! [`Publication`]: propusk_verify::feed::Publication
//! [`View`]: propusk_verify::feed::View
//! [`EndpointDecision`]: propusk_verify::feed::EndpointDecision

mod authority;
mod config;
mod machine;
mod step;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use propusk_verify::feed::{Grant, Instance, Renew, TokenKeys, TokenParts, View};
use stateright::{Model, Property};

pub use self::config::{Config, Limits};
pub use self::step::Action;

use self::authority::Authority;
use self::machine::Machine;
use crate::broken;
use crate::shared::Shared;

/// The audience of everything here.
const AUDIENCE: &str = "cars";
/// The session that is revoked.
const SESSION: &str = "s_1";
/// The `seq` of its revocation.
const REVOKED: u64 = 2;

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    authority: Shared<Authority>,
    machines: Vec<Shared<Machine>>,
    network: Shared<BTreeSet<Message>>,
    ticks: u8,
    /// What must never happen has happened.
    broken: Option<Broken>,
}

/// What was sent to or from an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A connection begins.
    Subscribe(Instance, u64),
    /// See [`Renew`].
    Renew(Renew),
    /// Everything up to here is applied.
    Ack(Instance, u64),
    /// No grant is used any more.
    Release(Instance),
    /// See [`Grant`].
    Grant(Instance, Grant),
}

/// A promise that was broken by a decision in several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A decision under a lease accepted what had been revoked when it took effect.
    Leased,
    /// One without accepted it too long after the commit.
    Stale,
}

impl Model for Config {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        broken::set(self.mutant);
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        broken::set(self.mutant);
        world.actions(self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        broken::set(self.mutant);
        let mut next = world.clone();
        next.take(self, action)?;
        if next.authority.is_waiting() {
            next.authority.change(Authority::look_at_wait);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("after `enforced` no lease lets the revoked token in", |config: &Self, world: &World| {
                broken::set(config.mutant);
                world.broken != Some(Broken::Leased)
                    && !(world.authority.enforced >= REVOKED
                        && world.machines.iter().any(|machine| machine.decide().leased))
            }),
            Property::always(
                "an ordinary endpoint lets it in no longer than the bound",
                |config: &Self, world: &World| {
                    broken::set(config.mutant);
                    world.broken != Some(Broken::Stale)
                        && !(world.authority.is_past_bound()
                            && world.machines.iter().any(|machine| machine.decide().fresh))
                },
            ),
            Property::always("a wait ends with the lease that ran when it began", |config: &Self, world: &World| {
                broken::set(config.mutant);
                !world.authority.waits_too_long()
            }),
        ];
        for goal in self.goals {
            properties.push(Property::sometimes(goal.name(), goal.condition()));
        }
        properties
    }
}

/// What has to be possible, or the model shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The revocation is enforced while a lease runs that has it.
    EnforcedUnderLease,
    /// The revocation is enforced although a verifier that had a lease never applied it.
    EnforcedByExpiry,
    /// A lease lets the token in before it is revoked.
    LeasedAccept,
    /// Memory without a lease lets the token in after it was revoked, within the bound.
    FreshAccept,
    /// A verifier that was started again has a lease and the revocation.
    LeasedAgain,
    /// The revocation is enforced by an authority that was started again.
    EnforcedAfterStart,
    /// The revocation is enforced, and a verifier that gave its lease back does not have it.
    EnforcedByRelease,
    /// A decision in steps lets the token in under a lease.
    SteppedAccept,
}

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Self::EnforcedUnderLease => "enforced under a lease",
            Self::EnforcedByExpiry => "enforced by expiry",
            Self::LeasedAccept => "a lease lets a good token in",
            Self::FreshAccept => "memory lets a token in within the bound",
            Self::LeasedAgain => "a verifier that was started again has a lease",
            Self::EnforcedAfterStart => "an authority that was started again enforces",
            Self::EnforcedByRelease => "enforced by release",
            Self::SteppedAccept => "a decision in steps lets a good token in",
        }
    }

    fn condition(self) -> fn(&Config, &World) -> bool {
        match self {
            Self::EnforcedUnderLease => |_, world| {
                let has = |machine: &Shared<Machine>| machine.is_leased() && machine.applied() >= REVOKED;
                world.authority.enforced >= REVOKED && world.machines.iter().any(has)
            },
            Self::EnforcedByExpiry => |_, world| {
                let lacks = |machine: &Shared<Machine>| machine.had_lease() && machine.applied() < REVOKED;
                world.authority.enforced >= REVOKED && world.machines.iter().any(lacks)
            },
            Self::LeasedAccept => |_, world| {
                world.authority.head < REVOKED && world.machines.iter().any(|machine| machine.decide().leased)
            },
            Self::FreshAccept => |_, world| {
                world.authority.enforced >= REVOKED && world.machines.iter().any(|machine| machine.decide().fresh)
            },
            Self::LeasedAgain => |_, world| {
                let again = |machine: &Shared<Machine>| {
                    machine.was_restarted() && machine.is_leased() && machine.applied() >= REVOKED
                };
                world.machines.iter().any(again)
            },
            Self::EnforcedAfterStart => {
                |_, world| world.authority.was_restarted() && world.authority.enforced >= REVOKED
            }
            Self::EnforcedByRelease => |_, world| {
                let released = |machine: &Shared<Machine>| machine.has_released() && machine.applied() < REVOKED;
                world.authority.enforced >= REVOKED && world.machines.iter().any(released)
            },
            Self::SteppedAccept => |_, world| world.machines.iter().any(|machine| machine.has_let_in()),
        }
    }
}

/// The token that every decision is about: of the session that is revoked, minted before.
fn token() -> &'static TokenKeys {
    static TOKEN: OnceLock<TokenKeys> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let parts = TokenParts {
            aud: AUDIENCE,
            jti: "t_1",
            sid: Some(SESSION),
            sub: "u_1",
            client_id: "gateway",
            actors: &[],
            epoch: 1,
            exp: 1,
            kid: "k_1",
        };
        View::predictable([AUDIENCE]).keys_of_parts(&parts).expect("the view is of this audience")
    })
}
