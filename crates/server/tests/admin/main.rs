//! The admin API over HTTP, on a real store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod backup;
mod clients;
mod every;
mod groups;
mod last_admin;
mod openapi;
mod pages;
mod races;
mod restart;
mod roles;
mod services;
mod transfer;
mod users;
mod world;
