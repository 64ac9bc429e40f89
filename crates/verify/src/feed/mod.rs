//! Revocation state in memory: how it arrives, how old it is, and what it says of a token.
//!
//! The authority keeps a log of everything that can turn a "yes" into a "no". A verifier follows it and so knows, at
//! any moment, a point in time up to which its view is complete (freshness). While a **lease** runs, the authority
//! does not call a change *enforced* before this verifier has applied it; so what memory says is as good as asking.
//!
//! Nothing here does IO or reads a clock. The whole protocol, and why each of its rules is needed, is in `PROTOCOL.md`
//! at the root of the repository.
//!
//! | module | what it is for |
//! |---|---|
//! | [`View`] | what is held in memory; read by decisions, written by one follower |
//! | [`Follower`] | the verifier's side of the conversation |
//! | [`EndpointDecision`] | loads, look-up and clock of one decision, in the one right order |

mod decide;
mod follower;
mod index;
#[cfg(all(test, loom))]
mod loom_tests;
mod message;
mod recent;
mod view;

pub use decide::{EndpointDecision, Outcome, Question, Stamp, Standing};
pub use follower::{Accepted, Drift, Follower, Publication, Reaction, Step};
pub use message::{Batch, Change, Event, Grant, Instance, PolicyTable, Renew, Subscribe};
pub use view::{Judgement, TokenKeys, TokenParts, View};

#[cfg(feature = "grpc")]
pub use crate::grpc::{Feed, FeedClient, FeedConfigError, FeedOptions};
