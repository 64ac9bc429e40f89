//! The authority's gRPC service as verifiers use it: online checks and the feed. Everything tonic is in this module.

mod batcher;
mod client;
mod convert;
mod feed;

pub use client::{FeedClient, FeedConfigError};
pub use feed::{Feed, FeedOptions};

#[expect(unreachable_pub, clippy::pedantic, reason = "generated from the proto, which has the documentation")]
pub(crate) mod proto {
    tonic::include_proto!("propusk.feed.v1");
}
