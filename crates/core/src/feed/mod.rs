//! The authority's side of the feed, without IO: who follows the log, how far each has come, which leases run, and
//! when a change is enforced everywhere.

mod penalty;
mod registry;
mod wait;

pub use registry::{Answer, AnswerStep, Follower, FollowerState, Reading, Registry, SubscribeError};
pub use wait::{Laggard, Progress, Wait};
