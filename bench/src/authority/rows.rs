//! What was promised, beside what was seen.

use std::time::Duration;

use super::load::Measured;
use crate::report::{Figure, Row};

/// What cannot be beaten.
pub(super) struct Bare {
    /// Seconds of processor.
    pub(super) signature: f64,
    /// Seconds of processor.
    pub(super) password: f64,
    /// Seconds.
    pub(super) commit: f64,
}

/// What was seen against one database.
pub(super) struct Seen {
    pub(super) started_in: Duration,
    pub(super) resident: u64,
    pub(super) constant: Measured,
    pub(super) credentials: Measured,
    pub(super) introspection: Measured,
    pub(super) refresh: Measured,
    pub(super) login: Measured,
}

/// Callers at a time who refresh.
const REFRESHING: f64 = 256.0;

/// The promises, one by one.
pub(super) fn of_few(seen: &Seen, bare: &Bare) -> Vec<Row> {
    vec![credentials(seen, bare), refresh(seen, bare), introspection(seen), login(seen, bare)]
}

fn credentials(seen: &Seen, bare: &Bare) -> Row {
    let least = seen.constant.cpu + bare.signature;
    let note = "16 connections, Ed25519; bare: the processor that the same server needs for a constant (/-/live), and \
                one signature";
    Row::new("client_credentials", note)
        .with(Figure::new("tokens", "1/s", seen.credentials.rate).at_least(20_000.0))
        .with(per_core(&seen.credentials).beside(1.0 / least).at_least(0.5 / least))
        .with(micros("processor each", seen.credentials.cpu).beside(least * 1e6))
        .with(micros("of it for a constant", seen.constant.cpu))
        .with(micros("of it for a signature", bare.signature))
}

fn refresh(seen: &Seen, bare: &Bare) -> Row {
    let by_disk = REFRESHING / bare.commit;
    let bound = by_disk.min(seen.refresh.per_core());
    let note = "256 sessions, each of which waits for its new token, client authenticated, every commit durable; bare: \
                the smaller of 256 for each bare durable commit and 1 for each processor time of a rotation";
    Row::new("refresh rotation", note)
        .with(Figure::new("rotations", "1/s", seen.refresh.rate).beside(bound).at_least(0.6 * bound))
        .with(micros("processor each", seen.refresh.cpu).at_most(120.0))
        .with(Figure::new("a bare durable commit", "ms", bare.commit * 1e3))
}

fn introspection(seen: &Seen) -> Row {
    let note = "16 connections, a live JWT, client authenticated; bare: a constant (/-/live) through the same server";
    Row::new("introspection", note)
        .with(Figure::new("answers", "1/s", seen.introspection.rate).beside(seen.constant.rate).at_least(30_000.0))
        .with(per_core(&seen.introspection).beside(seen.constant.per_core()))
        .with(micros("processor each", seen.introspection.cpu).beside(seen.constant.cpu * 1e6))
}

fn login(seen: &Seen, bare: &Bare) -> Row {
    let bound = 1.0 / bare.password;
    Row::new("password login", "8 connections; bare: argon2id alone with the same parameters, on the same core")
        .with(Figure::new("sign-ins", "1/s", seen.login.rate).beside(bound).at_least(0.95 * bound))
        .with(per_core(&seen.login).beside(bound))
}

/// All of it once more, with many people.
pub(super) fn of_many(people: usize, many: &Seen, few: &Seen) -> Row {
    let note = "the same rates, on a database of that many people with a session each; bare: with almost nobody in it";
    let again = |name, pick: fn(&Seen) -> Measured| {
        let (now, before) = (pick(many).rate, pick(few).rate);
        Figure::new(name, "1/s", now).beside(before).at_least(0.8 * before)
    };
    let each = |name, pick: fn(&Seen) -> Measured| micros(name, pick(many).cpu).beside(pick(few).cpu * 1e6);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Row::new(format!("{people} people and as many sessions"), note)
        .with(again("client_credentials", |seen| seen.credentials))
        .with(again("refresh rotation", |seen| seen.refresh))
        .with(again("introspection", |seen| seen.introspection))
        .with(again("password login", |seen| seen.login))
        .with(each("processor for client_credentials", |seen| seen.credentials))
        .with(each("processor for a rotation", |seen| seen.refresh))
        .with(each("processor for introspection", |seen| seen.introspection))
        .with(Figure::new("resident memory", "MiB", mib(many.resident)).beside(mib(few.resident)).at_most(150.0))
        .with(
            Figure::new("start", "s", many.started_in.as_secs_f64()).beside(few.started_in.as_secs_f64()).at_most(1.0),
        )
}

fn per_core(measured: &Measured) -> Figure {
    Figure::new("per core", "1/s", measured.per_core())
}

fn micros(name: &'static str, seconds: f64) -> Figure {
    Figure::new(name, "µs", seconds * 1e6)
}
