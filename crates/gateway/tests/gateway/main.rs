//! The gateway over real sockets, between a client that sends what it likes, an authority and a service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod http;
mod world;

mod basic;
mod browser;
mod forwarding;
mod framing;
mod operations;
mod sessions;
mod tls;
mod upstream;
