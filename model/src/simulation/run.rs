//! One run: the authority, its verifiers, and what goes wrong between them.

use std::collections::BTreeMap;
use std::time::Duration;

use propusk_core::env::Timestamp;
use propusk_core::feed::{Follower as Who, Progress, Registry, Wait};
use propusk_verify::clock::Moment;
use propusk_verify::feed::{
    Batch, Change, Drift, Event, Instance, Judgement, Renew, Subscribe, TokenKeys, TokenParts, View,
};

use super::clock::{Chance, Drifting, MS, S, Time};
use super::network::{Future, Happening, ToAuthority, ToVerifier};
use super::verifier::{Taken, Verifier};
use super::{Failure, Told};

const AUDIENCE: &str = "cars";
const LEASE: Duration = Duration::from_secs(3);
const RENEW: Time = S;
const MAX_STALENESS: Duration = Duration::from_secs(5);
/// How long a run takes, in its own time.
const LENGTH: Time = 30 * S;
/// Tokens, each of a session of its own, which are revoked one after the other.
const TOKENS: usize = 12;

struct Run {
    now: Time,
    chance: Chance,
    future: Future,
    authority: Authority,
    verifiers: Vec<Verifier>,
    keys: Vec<TokenKeys>,
    tokens: Vec<Token>,
    told: Told,
}

#[derive(Clone, Copy, Default)]
struct Token {
    /// When the revocation was committed, and when that call was answered `enforced`.
    revoked_at: Option<Time>,
    enforced_at: Option<Time>,
}

struct Authority {
    clock: Drifting,
    is_up: bool,
    registry: Registry,
    /// The log: event `n + 1` revokes the session of the token.
    log: Vec<usize>,
    /// Who is connected, by which connection, and what was sent.
    sent: BTreeMap<Instance, (usize, u32, u64)>,
    waits: Vec<(usize, Wait)>,
}

/// Runs once.
///
/// # Errors
/// [`Failure`]
pub fn run(seed: u64) -> Result<Told, Failure> {
    let mut run = Run::new(seed);
    while let Some((time, happening)) = run.future.next() {
        if time > LENGTH {
            break;
        }
        run.now = time;
        run.happen(happening).map_err(|what| Failure { seed, what: format!("after {} ms: {what}", time / MS) })?;
        run.look_at_waits();
    }
    Ok(run.told)
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let clock = Drifting::new(&mut chance);
        let registry = Registry::start(clock.read(0), LEASE, Duration::ZERO);
        let count = chance.between(2, 11);
        let verifiers =
            (0..count).map(|number| Verifier::new(number as usize, &mut chance, AUDIENCE, TOKENS)).collect();
        let authority =
            Authority { clock, is_up: true, registry, log: Vec::new(), sent: BTreeMap::new(), waits: Vec::new() };
        let mut future = Future::default();
        for number in 0..count as usize {
            future.at(chance.between(0, RENEW), Happening::Renewal(number));
            future.at(chance.between(0, S), Happening::Decide(number));
        }
        future.at(chance.between(S, 3 * S), Happening::Revoke);
        future.at(chance.between(S, 3 * S), Happening::Fault);
        future.at(0, Happening::Look);
        let told = Told { runs: 1, ..Told::default() };
        let tokens = vec![Token::default(); TOKENS];
        Self { now: 0, chance, future, authority, verifiers, keys: (0..TOKENS).map(keys).collect(), tokens, told }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        if let Some(until) = self.frozen(&happening) {
            self.future.at(until, happening);
            return Ok(());
        }
        match happening {
            Happening::ToAuthority(message) => self.reach_authority(&message),
            Happening::ToVerifier(number, instance, message) => {
                if self.verifiers[number].follower.instance() == instance {
                    self.verifiers[number].receive(message);
                    self.take_messages(number);
                }
            }
            Happening::Renewal(number) => self.renew(number),
            Happening::Publish(number, run) if self.verifiers[number].run == run => self.publish_on(number),
            Happening::Publish(..) => {}
            Happening::Decide(number) => {
                let token = self.chance.between(0, TOKENS as u64) as usize;
                let decision = self.verifiers[number].begin_decision(token) as u64;
                self.future.at(self.now, Happening::DecideOn(number, self.verifiers[number].run, decision));
                self.future.at(self.now + self.chance.between(50 * MS, 400 * MS), Happening::Decide(number));
            }
            Happening::DecideOn(number, run, decision) if self.verifiers[number].run == run => {
                return self.decide_on(number, decision);
            }
            Happening::DecideOn(..) => {}
            Happening::Revoke => self.revoke(),
            Happening::Look => self.future.at(self.now + 20 * MS, Happening::Look),
            Happening::Fault => self.fault(),
            Happening::Start => {
                let now = self.authority.clock.read(self.now);
                self.authority.registry = Registry::start(now, LEASE, LEASE);
                self.authority.is_up = true;
            }
        }
        Ok(())
    }

    /// Until when the process that this happens in takes no step.
    fn frozen(&self, happening: &Happening) -> Option<Time> {
        let number = match happening {
            Happening::ToVerifier(number, ..)
            | Happening::Renewal(number)
            | Happening::Publish(number, _)
            | Happening::Decide(number)
            | Happening::DecideOn(number, ..) => *number,
            _ => return None,
        };
        let until = self.verifiers[number].frozen_until;
        (until > self.now).then_some(until)
    }

    fn renew(&mut self, number: usize) {
        let verifier = &mut self.verifiers[number];
        let mut messages = Vec::new();
        if !verifier.has_released {
            // A connection over which something was lost is given up in the end.
            if !verifier.is_connected || self.chance.one_in(8) {
                let subscribe = verifier.subscribe();
                messages.push(ToAuthority::Subscribe(number, verifier.connections, subscribe));
            }
            messages.push(ToAuthority::Renew(number, verifier.follower.renew(verifier.clock.read(self.now))));
        }
        for message in messages {
            self.future.send(self.now, &mut self.chance, &Happening::ToAuthority(message));
        }
        self.future.at(self.now + RENEW, Happening::Renewal(number));
    }

    fn reach_authority(&mut self, message: &ToAuthority) {
        if !self.authority.is_up {
            return;
        }
        let now = self.authority.clock.read(self.now);
        let head = self.authority.log.len() as u64;
        let registry = &mut self.authority.registry;
        match *message {
            ToAuthority::Subscribe(number, connection, Subscribe { instance, applied }) => {
                let known = self.authority.sent.get(&instance).map_or(0, |(_, connection, _)| *connection);
                let address = number.to_string();
                let who = Who { service: AUDIENCE.to_owned(), address, version: String::new() };
                if known < connection && registry.connected(now, Timestamp(0), instance, who, applied).is_ok() {
                    self.authority.sent.insert(instance, (number, connection, applied));
                    self.send_batches();
                }
            }
            ToAuthority::Renew(number, Renew { instance, n }) => {
                if let Some(grant) = registry.renew(now, head, 0, instance, n) {
                    let grant = Happening::ToVerifier(number, instance, ToVerifier::Grant(grant));
                    self.future.send(self.now, &mut self.chance, &grant);
                }
            }
            ToAuthority::Ack(instance, applied) => registry.acked(now, instance, applied),
            ToAuthority::Release(instance) => registry.released(now, instance),
        }
    }

    /// What each connection lacks: in one batch, or, from the beginning, as a snapshot in parts.
    fn send_batches(&mut self) {
        let head = self.authority.log.len() as u64;
        for (instance, (number, connection, sent)) in &mut self.authority.sent {
            let from = std::mem::replace(sent, head);
            if from == head {
                continue;
            }
            let events: Vec<Event> = (from..head).map(|seq| event(&self.authority.log, seq + 1)).collect();
            let parts = if from == 0 { self.chance.between(1, 4) as usize } else { 1 };
            let size = events.len().div_ceil(parts).max(1);
            let parts = events.chunks(size).count();
            for (part, events) in events.chunks(size).enumerate() {
                let last = part + 1 == parts;
                let batch = Batch { from, to: head, floor: 0, events: events.to_vec(), part: part as u32, last };
                let message = Happening::ToVerifier(*number, *instance, ToVerifier::Batch(*connection, batch));
                self.future.send(self.now, &mut self.chance, &message);
            }
        }
    }

    fn take_messages(&mut self, number: usize) {
        while let Some(taken) = self.verifiers[number].take_next(self.now) {
            match taken {
                Taken::Nothing => {}
                Taken::Resubscribe => self.verifiers[number].is_connected = false,
                Taken::Publishing => self.go_on(number),
            }
        }
    }

    fn go_on(&mut self, number: usize) {
        let pause = if self.chance.one_in(10) { self.chance.between(0, 2 * S) } else { self.chance.between(0, MS) };
        self.future.at(self.now + pause, Happening::Publish(number, self.verifiers[number].run));
    }

    fn publish_on(&mut self, number: usize) {
        if let Some(applied) = self.verifiers[number].publish_on() {
            let ack = ToAuthority::Ack(self.verifiers[number].follower.instance(), applied);
            self.future.send(self.now, &mut self.chance, &Happening::ToAuthority(ack));
        }
        if self.verifiers[number].is_publishing() {
            self.go_on(number);
        } else {
            self.take_messages(number);
        }
    }

    fn decide_on(&mut self, number: usize, decision: u64) -> Result<(), String> {
        let verifier = &mut self.verifiers[number];
        let Some((token, outcome, effect)) = verifier.decide_on(self.now, decision as usize, &self.keys) else {
            let pause = if self.chance.one_in(20) { self.chance.between(0, 4 * S) } else { self.chance.between(0, MS) };
            self.future.at(self.now + pause, Happening::DecideOn(number, self.verifiers[number].run, decision));
            return Ok(());
        };
        self.told.decisions += 1;
        if outcome.judgement != Judgement::Good {
            self.told.refused += 1;
            return Ok(());
        }
        let Token { revoked_at, enforced_at } = self.tokens[token];
        if outcome.standing.is_leased {
            self.told.let_in_by_lease += 1;
            if enforced_at.is_some_and(|at| at < effect) {
                return Err(format!("verifier {number} let token {token} in by its lease after it was enforced"));
            }
        }
        if outcome.standing.is_fresh(Moment::BEGINNING.plus(Drift::default().shorten(MAX_STALENESS)).as_nanos()) {
            self.told.let_in_by_age += 1;
            let bound = MAX_STALENESS.as_nanos() as Time;
            if revoked_at.is_some_and(|at| at + bound < effect) {
                return Err(format!(
                    "verifier {number} let token {token} in longer than the bound after it was revoked"
                ));
            }
        }
        Ok(())
    }

    fn revoke(&mut self) {
        let next = self.tokens.iter().position(|token| token.revoked_at.is_none());
        if let Some(token) = next.filter(|_| self.authority.is_up) {
            self.tokens[token].revoked_at = Some(self.now);
            self.told.revoked += 1;
            self.authority.log.push(token);
            let seq = self.authority.log.len() as u64;
            let wait = self.authority.registry.wait(self.authority.clock.read(self.now), seq);
            self.authority.waits.push((token, wait));
            self.send_batches();
        }
        self.future.at(self.now + self.chance.between(500 * MS, 4 * S), Happening::Revoke);
    }

    fn look_at_waits(&mut self) {
        let now = self.authority.clock.read(self.now);
        let (registry, tokens, told) = (&mut self.authority.registry, &mut self.tokens, &mut self.told);
        self.authority.waits.retain_mut(|(token, wait)| {
            let is_enforced = registry.progress(wait, now) == Progress::Enforced;
            if is_enforced {
                tokens[*token].enforced_at = Some(self.now);
                told.enforced += 1;
                told.enforced_by_expiry += u64::from(!registry.laggards(wait, now).is_empty());
            }
            !is_enforced
        });
    }

    fn fault(&mut self) {
        let number = self.chance.between(0, self.verifiers.len() as u64) as usize;
        let instance = self.verifiers[number].follower.instance();
        match self.chance.between(0, 12) {
            0..4 => self.verifiers[number].frozen_until = self.now + self.chance.between(0, 8 * S),
            4..6 => {
                self.verifiers[number].restart(AUDIENCE);
                self.told.restarts += 1;
            }
            6..8 => {
                self.authority.registry.disconnected(self.authority.clock.read(self.now), instance);
                self.authority.sent.remove(&instance);
                self.verifiers[number].is_connected = false;
            }
            8 => self.stop_authority(),
            9 if !self.verifiers[number].has_released => {
                let verifier = &mut self.verifiers[number];
                verifier.follower.release(&verifier.view);
                verifier.has_released = true;
                let release = Happening::ToAuthority(ToAuthority::Release(instance));
                self.future.send(self.now, &mut self.chance, &release);
            }
            10 => self.authority.registry.sweep(self.authority.clock.read(self.now)),
            _ => {
                self.authority.clock.slew(self.now, &mut self.chance);
                self.verifiers[number].clock.slew(self.now, &mut self.chance);
            }
        }
        self.future.at(self.now + self.chance.between(100 * MS, 3 * S), Happening::Fault);
    }

    /// A crash: who waited gets no answer; all connections end.
    fn stop_authority(&mut self) {
        if !self.authority.is_up {
            return;
        }
        self.authority.is_up = false;
        self.authority.waits.clear();
        self.authority.sent.clear();
        self.told.restarts += 1;
        for verifier in &mut self.verifiers {
            verifier.is_connected = false;
        }
        self.future.at(self.now + self.chance.between(0, 2 * S), Happening::Start);
    }
}

fn session(token: usize) -> String {
    format!("s_{token}")
}

fn event(log: &[usize], seq: u64) -> Event {
    let token = log[seq as usize - 1];
    Event { seq, until: 1, change: Change::SessionRevoked(session(token)) }
}

fn keys(token: usize) -> TokenKeys {
    let (jti, sid) = (format!("t_{token}"), session(token));
    let parts = TokenParts {
        aud: AUDIENCE,
        jti: &jti,
        sid: Some(&sid),
        sub: "u_1",
        client_id: "gateway",
        actors: &[],
        epoch: 0,
        exp: 1,
        kid: "k_1",
    };
    View::predictable([AUDIENCE]).keys_of_parts(&parts).expect("the view is of this audience")
}
