//! A verifier of a simulation.

use std::collections::VecDeque;
use std::sync::Arc;

use propusk_verify::feed::{
    Accepted, Drift, EndpointDecision, Follower, Grant, Instance, Outcome, Publication, Question, Stamp, Step,
    Subscribe, TokenKeys, View,
};

use super::clock::{Chance, Drifting, Time};
use super::network::ToVerifier;

pub(super) struct Verifier {
    pub(super) number: usize,
    pub(super) clock: Drifting,
    /// How often it was started.
    pub(super) run: u32,
    pub(super) view: Arc<View>,
    pub(super) follower: Follower,
    pub(super) is_connected: bool,
    /// Counts its connections.
    pub(super) connections: u32,
    pub(super) has_released: bool,
    /// Until then it is frozen.
    pub(super) frozen_until: Time,
    publication: Option<Publication>,
    inbox: VecDeque<ToVerifier>,
    decisions: Vec<Option<Decision>>,
    /// As the entries of its cache have them, by token.
    stamps: Vec<Arc<Stamp>>,
}

/// A decision that is being made.
pub(super) struct Decision {
    pub(super) token: usize,
    steps: EndpointDecision,
    /// When each of its steps was taken.
    at: Vec<Time>,
}

/// What a message came to.
pub(super) enum Taken {
    Nothing,
    /// A publication began.
    Publishing,
    /// Events are missing.
    Resubscribe,
}

impl Verifier {
    pub(super) fn new(number: usize, chance: &mut Chance, audience: &str, tokens: usize) -> Self {
        let clock = Drifting::new(chance);
        Self::started(number, clock, 0, audience, tokens)
    }

    fn started(number: usize, clock: Drifting, run: u32, audience: &str, tokens: usize) -> Self {
        Self {
            number,
            clock,
            run,
            view: Arc::new(View::predictable([audience])),
            follower: Follower::new(instance(number, run), Drift::default()),
            is_connected: false,
            connections: 0,
            has_released: false,
            frozen_until: 0,
            publication: None,
            inbox: VecDeque::new(),
            decisions: Vec::new(),
            stamps: (0..tokens).map(|_| Arc::new(Stamp::default())).collect(),
        }
    }

    /// Another process takes its place.
    pub(super) fn restart(&mut self, audience: &str) {
        *self = Self::started(self.number, self.clock.clone(), self.run + 1, audience, self.stamps.len());
    }

    pub(super) fn subscribe(&mut self) -> Subscribe {
        self.is_connected = true;
        self.connections += 1;
        self.follower.subscribe(&self.view)
    }

    pub(super) fn receive(&mut self, message: ToVerifier) {
        self.inbox.push_back(message);
    }

    pub(super) fn is_publishing(&self) -> bool {
        self.publication.is_some()
    }

    /// Takes the next message, unless a batch is being published.
    pub(super) fn take_next(&mut self, now: Time) -> Option<Taken> {
        if self.is_publishing() {
            return None;
        }
        Some(match self.inbox.pop_front()? {
            ToVerifier::Grant(grant) => self.grant(now, grant),
            // A snapshot comes in order over one connection: nothing reads from an earlier one.
            ToVerifier::Batch(connection, batch)
                if connection != self.connections && (batch.part > 0 || !batch.last) =>
            {
                Taken::Nothing
            }
            ToVerifier::Batch(_, batch) => match self.follower.accept(&self.view, batch) {
                Accepted::Known => Taken::Nothing,
                Accepted::Gap => Taken::Resubscribe,
                Accepted::Publish(publication) => {
                    self.publication = Some(publication);
                    Taken::Publishing
                }
            },
        })
    }

    fn grant(&mut self, now: Time, grant: Grant) -> Taken {
        self.follower.grant(&self.view, grant, self.clock.read(now));
        Taken::Nothing
    }

    /// The next step of what is being published; what is to be acknowledged.
    pub(super) fn publish_on(&mut self) -> Option<u64> {
        let publication = self.publication.as_mut()?;
        let step = publication.step(&mut self.follower, &self.view);
        if publication.is_over() {
            self.publication = None;
        }
        match step? {
            Step::Ack(applied) => Some(applied),
            Step::Index | Step::Generation | Step::Applied => None,
        }
    }

    pub(super) fn begin_decision(&mut self, token: usize) -> usize {
        self.decisions.push(Some(Decision { token, steps: EndpointDecision::default(), at: Vec::new() }));
        self.decisions.len() - 1
    }

    /// The next step of a decision; once it is made, when it took effect.
    pub(super) fn decide_on(&mut self, now: Time, number: usize, keys: &[TokenKeys]) -> Option<(usize, Outcome, Time)> {
        let decision = self.decisions[number].as_mut()?;
        decision.at.push(now);
        let stamp = &*self.stamps[decision.token];
        let question = Question::about(&keys[decision.token], Some(stamp));
        let outcome = decision.steps.step(&self.view, question, || self.clock.read(now))?;
        let done = (decision.token, outcome, decision.at[decision.steps.took_effect_at()?]);
        self.decisions[number] = None;
        Some(done)
    }
}

/// In earnest from the system's random generator.
fn instance(number: usize, run: u32) -> Instance {
    let mut bits = [0; 16];
    bits[..8].copy_from_slice(&number.to_be_bytes());
    bits[8..12].copy_from_slice(&run.to_be_bytes());
    Instance(bits)
}
