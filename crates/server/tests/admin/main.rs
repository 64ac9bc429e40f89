//! The admin API over HTTP, on a real store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod clients;
mod groups;
mod last_admin;
mod openapi;
mod restart;
mod roles;
mod services;
mod users;
mod world;
