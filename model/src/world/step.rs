//! What can happen next in a world, and what it does.

use std::collections::BTreeSet;
use std::time::Duration;

use propusk_verify::clock::Monotonic;
use propusk_verify::feed::{Grant, Instance};

use super::authority::Authority;
use super::config::{Config, Limits};
use super::machine::{BatchId, Machine, Promised};
use super::{Message, REVOKED, World};
use crate::shared::Shared;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes: by these rates, while this verifier's machine sleeps.
    Tick([u64; 3], Option<usize>),
    /// A change is committed.
    Commit,
    /// A call begins to wait for the head.
    BeginWait,
    /// A message reaches the authority.
    Arrive(Message),
    /// The authority goes on with the renewal that it answers.
    Answer,
    /// The authority sees a connection end.
    Disconnect(Instance),
    /// The authority crashes and is started again.
    RestartAuthority,
    /// A verifier connects.
    Subscribe(usize),
    /// A verifier reads its clock and asks for a lease.
    Renew(usize),
    /// A grant reaches a verifier.
    Grant(usize, Grant),
    /// A batch reaches a verifier.
    Batch(usize, BatchId),
    /// A verifier goes on with what it publishes.
    Publish(usize),
    /// A verifier gives its lease back.
    Release(usize),
    /// A verifier crashes and is started again.
    Restart(usize),
    /// A decision at a verifier begins, or goes on.
    Decide(usize),
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        let head = config.limits.first_head;
        let machines = (0..config.limits.verifiers).map(|number| Machine::new(number, head));
        let machines: Vec<_> = machines.map(Shared::new).collect();
        let mut authority = Authority::new(head);
        for machine in &machines {
            let _ = authority.take(Message::Subscribe(machine.instance(), machine.applied()));
        }
        let network = Shared::new(BTreeSet::new());
        Self { authority: Shared::new(authority), machines, network, ticks: 0, broken: None }
    }

    pub(super) fn actions(&self, config: &Config, actions: &mut Vec<Action>) {
        let limits = &config.limits;
        if self.broken.is_some() {
            return;
        }
        if self.ticks < limits.ticks {
            // A machine that sleeps takes no steps; only on a clock that then stands still is it anything else.
            let sleepers: &[_] = match Monotonic::of_leases() {
                Monotonic::CountsSleep => &[None],
                Monotonic::StopsAsleep => &[None, Some(0)],
            };
            actions.extend(limits.rates.iter().flat_map(|rates| sleepers.iter().map(|who| Action::Tick(*rates, *who))));
        }
        self.authority_actions(limits, actions);
        for number in 0..self.machines.len() {
            self.machine_actions(limits, number, actions);
        }
    }

    fn authority_actions(&self, limits: &Limits, actions: &mut Vec<Action>) {
        let authority = &self.authority;
        if authority.head < limits.last_head {
            actions.push(Action::Commit);
        }
        if authority.head >= REVOKED && authority.enforced < authority.head && !authority.is_waiting() {
            actions.push(Action::BeginWait);
        }
        if authority.is_busy() {
            actions.push(Action::Answer);
        } else {
            let arriving = self.network.iter().filter(|message| !matches!(message, Message::Grant(..)));
            actions.extend(arriving.map(|message| Action::Arrive(*message)));
        }
        if authority.disconnects < limits.disconnects {
            let connected = self.machines.iter().filter(|machine| machine.is_connected);
            actions.extend(connected.map(|machine| Action::Disconnect(machine.instance())));
        }
        if authority.restarts < limits.authority_restarts {
            actions.push(Action::RestartAuthority);
        }
    }

    fn machine_actions(&self, limits: &Limits, number: usize, actions: &mut Vec<Action>) {
        let machine = &self.machines[number];
        if number == 0 && (machine.is_deciding() || machine.decisions < limits.decisions) {
            actions.push(Action::Decide(number));
        }
        if machine.restarts < limits.restarts[number] {
            actions.push(Action::Restart(number));
        }
        if machine.is_busy() {
            actions.push(Action::Publish(number));
            return;
        }
        if !machine.is_connected {
            actions.push(Action::Subscribe(number));
        } else if machine.renewals < limits.renewals[number] && !machine.has_released {
            actions.push(Action::Renew(number));
        }
        if limits.releases[number] && !machine.has_released && machine.is_connected {
            actions.push(Action::Release(number));
        }
        for message in self.network.iter() {
            if let Message::Grant(to, grant) = message
                && *to == machine.instance()
            {
                actions.push(Action::Grant(number, *grant));
            }
        }
        self.batches(limits, machine, |id| actions.push(Action::Batch(number, id)));
    }

    /// The batches that can be on their way.
    fn batches(&self, limits: &Limits, machine: &Machine, mut found: impl FnMut(BatchId)) {
        let (head, applied) = (self.authority.head, machine.applied());
        if limits.any_batches == 0 {
            if applied < head {
                found(BatchId { from: applied, to: head, part: None });
            }
            return;
        }
        if machine.batches == limits.any_batches {
            return;
        }
        for to in 1..=head {
            for from in 0..to {
                found(BatchId { from, to, part: None });
            }
            if to > 1 {
                found(BatchId { from: 0, to, part: Some(0) });
                found(BatchId { from: 0, to, part: Some(1) });
            }
        }
    }

    pub(super) fn take(&mut self, config: &Config, action: Action) -> Option<()> {
        match action {
            Action::Tick(rates, asleep) => self.tick(rates, asleep),
            Action::Commit => self.authority.change(|authority| authority.commit(&config.limits)),
            Action::BeginWait => self.authority.change(Authority::begin_wait),
            Action::Arrive(message) => self.arrive(config, message)?,
            Action::Answer => self.answer(),
            Action::Disconnect(instance) => {
                self.authority.change(|authority| authority.disconnect(instance));
                self.cut(|machine| machine.instance() == instance);
            }
            Action::RestartAuthority => {
                self.authority.change(Authority::restart);
                self.cut(|_| true);
            }
            Action::Subscribe(number) => {
                let (instance, applied) = self.machines[number].change(Machine::subscribe);
                self.send([Message::Subscribe(instance, applied)]);
            }
            Action::Renew(number) => {
                let renew = self.machines[number].change(Machine::renew);
                self.send([Message::Renew(renew)]);
            }
            Action::Grant(number, grant) => self.grant(config, number, grant),
            Action::Batch(number, id) => self.batch(config, number, id)?,
            Action::Publish(number) => {
                let acknowledged = self.machines[number].change(Machine::publish_on);
                self.acknowledge(number, acknowledged);
            }
            Action::Release(number) => {
                let instance = self.machines[number].change(Machine::release);
                self.send([Message::Release(instance)]);
            }
            Action::Restart(number) => self.machines[number].change(Machine::restart),
            Action::Decide(number) => {
                let promised = Promised {
                    is_enforced: self.authority.enforced >= REVOKED,
                    is_past_bound: self.authority.is_past_bound(),
                };
                self.broken = self.machines[number].change(|machine| machine.decide_on(promised));
            }
        }
        Some(())
    }

    fn tick(&mut self, rates: [u64; 3], asleep: Option<usize>) {
        self.ticks += 1;
        let [rate, verifiers @ ..] = rates.map(Duration::from_nanos);
        self.authority.change(|authority| authority.now = authority.now.plus(rate));
        for (number, (machine, rate)) in self.machines.iter_mut().zip(verifiers).enumerate() {
            if asleep != Some(number) {
                machine.change(|machine| machine.now = machine.now.plus(rate));
            }
        }
    }

    fn grant(&mut self, config: &Config, number: usize, grant: Grant) {
        if config.limits.plain {
            let to = self.machines[number].instance();
            self.network.change(|network| network.remove(&Message::Grant(to, grant)));
        }
        self.machines[number].change(|machine| machine.take_grant(grant));
    }

    fn cut(&mut self, is_cut: impl Fn(&Machine) -> bool) {
        for machine in self.machines.iter_mut().filter(|machine| is_cut(machine)) {
            machine.change(|machine| machine.is_connected = false);
        }
    }

    fn arrive(&mut self, config: &Config, message: Message) -> Option<()> {
        // A connection begins once, and to hear twice of an acknowledgement or a release is to hear of it once. A
        // renewal that is repeated is answered again.
        if config.limits.plain || !matches!(message, Message::Renew(_)) {
            self.network.change(|network| network.remove(&message));
        }
        self.authority.change(|authority| authority.take(message))?;
        self.answer();
        Some(())
    }

    fn answer(&mut self) {
        if self.authority.is_busy() {
            let sent = self.authority.change(Authority::answer_on);
            self.send(sent);
        }
    }

    fn send(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.network.change(|network| network.insert(message));
        }
    }

    fn batch(&mut self, config: &Config, number: usize, id: BatchId) -> Option<()> {
        let machine = &mut self.machines[number];
        if config.limits.stepped_publication {
            return machine.change(|machine| machine.begin_batch(id));
        }
        let acknowledged = machine.change(|machine| machine.take_batch(id))?;
        self.acknowledge(number, Some(acknowledged));
        Some(())
    }

    fn acknowledge(&mut self, number: usize, applied: Option<u64>) {
        let instance = self.machines[number].instance();
        self.send(applied.map(|applied| Message::Ack(instance, applied)));
    }
}
