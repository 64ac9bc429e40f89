//! The product as users, clients and attackers meet it. A module for each area; see the harness in `src/`.
//!
//! | module | what is shown |
//! |---|---|
//! | [`admins`] | two administrators at the same time |
//! | [`cli`] | the command line: documents for programs, exit statuses |
//! | [`crash`] | SIGKILL of the authority or of everything loses nothing that was acknowledged |
//! | [`doctor`] | a system that is well, and faults that are found with what mends them |
//! | [`exchange`] | token exchange: rules, actor, audience, what is refused |
//! | [`feed`] | leases, staleness, enforced revocation with processes that freeze, die and lose their connections |
//! | [`flask`] | a service in another language verifies with the PEM address alone |
//! | [`flood`] | a flood of sign-ins is answered in bounded memory |
//! | [`gateway`] | Basic, cookie sessions, CSRF, forged headers, framing, outages |
//! | [`import`] | people from other systems and to other systems, with their hashes; crashes in the middle |
//! | [`logins`] | names that are one person's, and no look-alikes; addresses that tell nothing |
//! | [`openapi`] | every call of the document, tried by a program that only knows the document |
//! | [`ops`] | liveness, readiness, metrics |
//! | [`passwords`] | what nobody may take, how passwords are compared, hashes that change with the parameters |
//! | [`public`] | every route without credentials, and with those that are not good enough |
//! | [`refresh`] | rotation, honest replays, reuse |
//! | [`restore`] | backups, and restoring one while services run |
//! | [`revocation`] | whatever is taken away is refused at once, with the right verdict |
//! | [`roles`] | what roles give through groups, inheritance and clients, and how soon a change is felt |
//! | [`rotation`] | keys change, also in an emergency, and no honest request fails |
//! | [`sessions`] | limits, what is shown of them, what is left of who was deleted |
//! | [`shop`] | purchases: nothing charged twice, nothing lost |
//! | [`signed`] | tokens that are wrong although their signature is right; what one leaked key can do |
//! | [`start`] | starting, stopping, starting again, and clear errors |
//! | [`throttle`] | guessing is slowed down by account, client and address, and nobody else is |
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

mod admins;
mod cli;
mod crash;
mod doctor;
mod exchange;
mod feed;
mod flask;
mod flood;
mod gateway;
mod import;
mod logins;
mod openapi;
mod ops;
mod passwords;
mod public;
mod refresh;
mod restore;
mod revocation;
mod roles;
mod rotation;
mod sessions;
mod shared;
mod shop;
mod signed;
mod start;
mod throttle;
mod timing;
mod tls;
mod tokens;
mod tour;
