//! The feed: what verifiers follow and ask, over gRPC. Everything tonic is in this module.
//!
//! | module | what it is for |
//! |---|---|
//! | [`state`] | who follows, what each has acknowledged, which leases run, and the wait for enforcement |
//! | [`tail`] | the newest events in memory, shared by all connections |
//! | [`snapshot`] | everything that is alive, read from the store in parts |
//! | [`stream`] | one connection |
//! | [`service`] | the gRPC service: authentication, `Check` and `Follow` |

mod service;
mod snapshot;
mod state;
mod stream;
mod tail;

#[allow(unreachable_pub, clippy::pedantic, reason = "generated from the proto, which has the documentation")]
mod proto {
    tonic::include_proto!("propusk.feed.v1");
}

pub(crate) use service::routes;
pub(crate) use state::FeedState;
pub(crate) use tail::run as follow_log;
