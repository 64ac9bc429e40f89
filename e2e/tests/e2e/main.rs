//! The product as users, clients and attackers meet it. A module for each area; see the harness in `src/`.
//!
//! | module | what is shown |
//! |---|---|
//! | [`cli`] | the command line: documents for programs, exit statuses |
//! | [`crash`] | SIGKILL of the authority or of everything loses nothing that was acknowledged |
//! | [`exchange`] | token exchange: rules, actor, audience, what is refused |
//! | [`feed`] | leases, staleness, enforced revocation with processes that freeze, die and lose their connections |
//! | [`flask`] | a service in another language verifies with the PEM address alone |
//! | [`flood`] | a flood of sign-ins is answered in bounded memory |
//! | [`gateway`] | Basic, cookie sessions, CSRF, forged headers, framing, outages |
//! | [`ops`] | liveness, readiness, metrics |
//! | [`public`] | every route without credentials |
//! | [`refresh`] | rotation, honest replays, reuse |
//! | [`revocation`] | whatever is taken away is refused at once, with the right verdict |
//! | [`rotation`] | keys change, also in an emergency, and no honest request fails |
//! | [`shop`] | purchases: nothing charged twice, nothing lost |
//! | [`signed`] | tokens that are wrong although their signature is right; what one leaked key can do |
//! | [`start`] | starting, stopping, starting again, and clear errors |
//! | [`timing`] | who has an account cannot be told from the time of an answer |
//! | [`tls`] | certificates for every listener and every call, renewed while running |
//! | [`tokens`] | every kind of token and every forgery, offered to every validator |
//! | [`tour`] | the narrated demo |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cli;
mod crash;
mod exchange;
mod feed;
mod flask;
mod flood;
mod gateway;
mod ops;
mod public;
mod refresh;
mod revocation;
mod rotation;
mod shared;
mod shop;
mod signed;
mod start;
mod timing;
mod tls;
mod tokens;
mod tour;
