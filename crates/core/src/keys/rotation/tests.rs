use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use propusk_verify::feed::Instance;

use super::*;
use crate::feed::Follower;
use crate::store::SigningAlg;

const SETTLE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(3);
/// How old a view may be that says of a key that there is none.
const FRESH: Duration = Duration::from_secs(5);
/// Who was heard of within this is waited for.
const HEARD_OF: Duration = Duration::from_secs(60);
const CEILING: u64 = 100_000;

fn schedule() -> Schedule {
    Schedule { settle: SETTLE, max_age: MAX_AGE, rotate_every: Duration::ZERO }
}

fn key(n: usize, state: KeyState) -> SealedKey {
    SealedKey {
        kid: format!("k{n}").parse().unwrap(),
        service: "cars".parse().unwrap(),
        alg: SigningAlg::Ed25519,
        state,
        public_spki: Vec::new(),
        sealed_pkcs8: Vec::new(),
        created_at: Timestamp(0),
        published_seq: Some(1),
        promoted_at: None,
        activated_at: (state == KeyState::Active).then_some(Timestamp(0)),
        until: None,
    }
}

/// A process that verifies, as the feed leaves it.
#[derive(Debug)]
struct Verifier {
    instance: Instance,
    holds: BTreeSet<Kid>,
    applied: u64,
    is_connected: bool,
    is_frozen: bool,
    is_released: bool,
    /// Grants that wait for their head.
    grants: Vec<(Moment, u64)>,
    fresh_as_of: Option<Moment>,
    /// When any authority process heard of it last.
    contact: Moment,
}

/// The authority, those who follow it, one who fetches key sets, and the time.
struct World {
    schedule: Schedule,
    /// Acknowledgements that say more than was applied.
    acks_blindly: bool,
    now: Moment,
    started: Moment,
    ring: Ring,
    made: usize,
    head: u64,
    /// The events that are `keys_changed`.
    changes: BTreeSet<u64>,
    registry: Registry,
    published: Published,
    served: BTreeSet<Kid>,
    verifiers: Vec<Verifier>,
    fetched: Option<(Moment, BTreeSet<Kid>)>,
    /// The key that an emergency let sign although somebody lacked it.
    unconfirmed: Option<Kid>,
    activations: usize,
    emergencies: usize,
}

#[derive(Debug, Clone)]
enum Op {
    /// Time passes.
    Tick(u64),
    /// A second without trouble: everybody who can receives, acknowledges and renews, and housekeeping runs.
    Calm,
    /// A minute of those.
    CalmMinute,
    Join,
    Reconnect(usize),
    Disconnect(usize),
    Release(usize),
    Freeze(usize),
    Wake(usize),
    /// Up to so many events.
    Receive(usize, u64),
    Ack(usize),
    Renew(usize),
    Fetch,
    Rotate,
    /// One of the keys in the ring.
    Revoke(usize),
    /// Something else is appended.
    Append,
    Housekeeping,
    Reload,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0_usize..6;
    prop_oneof![
        3 => (1_u64..40_000).prop_map(Op::Tick),
        6 => Just(Op::Calm),
        4 => Just(Op::CalmMinute),
        2 => Just(Op::Join),
        3 => n.clone().prop_map(Op::Reconnect),
        2 => n.clone().prop_map(Op::Disconnect),
        1 => n.clone().prop_map(Op::Release),
        2 => n.clone().prop_map(Op::Freeze),
        2 => n.clone().prop_map(Op::Wake),
        4 => (n.clone(), 1_u64..4).prop_map(|(n, events)| Op::Receive(n, events)),
        4 => n.clone().prop_map(Op::Ack),
        3 => n.clone().prop_map(Op::Renew),
        3 => Just(Op::Fetch),
        4 => Just(Op::Rotate),
        1 => n.prop_map(Op::Revoke),
        2 => Just(Op::Append),
        4 => Just(Op::Housekeeping),
        2 => Just(Op::Reload),
        1 => Just(Op::Restart),
    ]
}

impl World {
    fn new() -> Self {
        let now = Moment::from_nanos(1).plus(Duration::from_secs(1000));
        let keys = vec![key(0, KeyState::Active), key(1, KeyState::Staged)];
        let mut world = Self {
            schedule: schedule(),
            acks_blindly: false,
            now,
            started: now,
            ring: Ring { service: "cars".parse().unwrap(), keys, rotate_every: None },
            made: 2,
            head: 1,
            changes: BTreeSet::from([1]),
            registry: Registry::start(now, LEASE, LEASE),
            published: Published::start(now),
            served: BTreeSet::new(),
            verifiers: Vec::new(),
            fetched: None,
            unconfirmed: None,
            activations: 0,
            emergencies: 0,
        };
        world.reload();
        world
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.now.as_nanos() / 1_000_000)
    }

    fn facts(&self) -> Facts<'_> {
        Facts { wall: self.wall(), now: self.now, published: &self.published, registry: &self.registry }
    }

    fn kids(&self, of: impl Fn(&SealedKey) -> bool) -> BTreeSet<Kid> {
        self.ring.keys.iter().filter(|key| of(key)).map(|key| key.kid.clone()).collect()
    }

    fn store(&mut self, changed: Vec<SealedKey>) {
        for key in changed {
            let row = self.ring.keys.iter_mut().find(|row| row.kid == key.kid).unwrap();
            *row = key;
            let active = self.ring.keys.iter().filter(|key| key.state == KeyState::Active).count();
            assert!(active <= 1, "stored one after the other: {:?}", self.ring);
        }
    }

    fn append(&mut self) -> u64 {
        self.head += 1;
        self.head
    }

    fn stage(&mut self) {
        let seq = self.append();
        self.changes.insert(seq);
        self.ring.keys.push(SealedKey { published_seq: Some(seq), ..key(self.made, KeyState::Staged) });
        self.made += 1;
    }

    fn reload(&mut self) {
        self.served = self.kids(|key| key.state != KeyState::Revoked);
        self.published.note(self.now, self.served.clone());
    }

    fn housekeeping(&mut self) -> TestCaseResult {
        self.registry.sweep(self.now);
        match self.ring.due(&self.facts(), &self.schedule) {
            None => {}
            Some(Due::Spare) => self.stage(),
            Some(Due::Rotation) => prop_assert!(false, "nothing asked for one"),
            Some(Due::Activation(cleared)) => self.activate(&cleared)?,
        }
        Ok(())
    }

    fn activate(&mut self, cleared: &Cleared) -> TestCaseResult {
        prop_assert!(self.now.since(self.started) >= self.schedule.settle, "within keys.settle of a start");
        for verifier in self.verifiers.iter().filter(|verifier| !verifier.is_released) {
            let is_live = verifier.is_connected || self.now.since(verifier.contact) < HEARD_OF;
            prop_assert!(!is_live || verifier.holds.contains(&cleared.0), "lacks {:?}: {verifier:?}", cleared.0);
        }
        let changed = self.ring.activation(cleared, self.wall(), CEILING);
        prop_assert_eq!(changed.len(), 2);
        self.store(changed);
        self.unconfirmed = None;
        self.activations += 1;
        Ok(())
    }

    fn revoke(&mut self, n: usize) {
        let Some(key) = self.ring.keys.get(n).cloned().filter(|key| key.state != KeyState::Revoked) else { return };
        let changed = match self.ring.revocation(&key, self.wall(), CEILING) {
            Some(changed) => changed,
            None => {
                self.stage();
                self.ring.revocation(&key, self.wall(), CEILING).unwrap()
            }
        };
        self.append();
        self.store(changed);
        // Before the commit.
        self.reload();
        if key.state == KeyState::Active {
            self.emergencies += 1;
            self.unconfirmed = None;
            let lacking = self.who_lacks_the_active_key();
            self.unconfirmed = lacking.and_then(|_| self.ring.active()).map(|key| key.kid.clone());
        }
    }

    fn restart(&mut self) {
        self.started = self.now;
        self.registry = Registry::start(self.now, LEASE, LEASE);
        self.published = Published::start(self.now);
        self.reload();
        for verifier in &mut self.verifiers {
            verifier.is_connected = false;
            verifier.grants.clear();
        }
    }

    /// Somebody who would refuse an honest token because of its key.
    fn who_lacks_the_active_key(&self) -> Option<String> {
        let active = &self.ring.active()?.kid;
        if self.unconfirmed.as_ref() == Some(active) {
            return None;
        }
        let is_fresh = |verifier: &&Verifier| verifier.fresh_as_of.is_some_and(|at| self.now.since(at) <= FRESH);
        let follower = self.verifiers.iter().filter(is_fresh).find(|verifier| !verifier.holds.contains(active));
        if let Some(follower) = follower {
            return Some(format!("{active} signs, and is not held by {follower:?}"));
        }
        let (at, held) = self.fetched.as_ref()?;
        let is_good = self.now.since(*at) <= MAX_AGE;
        (is_good && !held.contains(active)).then(|| format!("{active} signs, and was not in the set fetched at {at:?}"))
    }

    fn check(&self) -> TestCaseResult {
        let count = |state| self.ring.keys.iter().filter(|key| key.state == state).count();
        prop_assert_eq!(count(KeyState::Active), 1);
        prop_assert!(count(KeyState::Staged) <= 1);
        prop_assert_eq!(self.who_lacks_the_active_key(), None);
        Ok(())
    }

    fn apply(&mut self, op: &Op) -> TestCaseResult {
        match op {
            Op::Tick(ms) => self.now = self.now.plus(Duration::from_millis(*ms)),
            Op::Calm => self.calm_second()?,
            Op::CalmMinute => {
                for _ in 0..60 {
                    self.calm_second()?;
                    self.check()?;
                }
            }
            Op::Join if self.verifiers.len() < 6 => self.join(),
            Op::Fetch => self.fetched = Some((self.now, self.served.clone())),
            Op::Rotate => {
                let promoted = self.ring.promotion(self.wall());
                self.store(promoted.into_iter().collect());
            }
            Op::Revoke(n) => self.revoke(*n),
            Op::Append => drop(self.append()),
            Op::Housekeeping => self.housekeeping()?,
            Op::Reload => self.reload(),
            Op::Restart => self.restart(),
            op => self.verifier_op(op),
        }
        Ok(())
    }

    fn calm_second(&mut self) -> TestCaseResult {
        self.now = self.now.plus(Duration::from_secs(1));
        for n in 0..self.verifiers.len() {
            for op in [Op::Renew(n), Op::Receive(n, u64::MAX), Op::Ack(n)] {
                self.verifier_op(&op);
            }
        }
        self.housekeeping()?;
        self.reload();
        Ok(())
    }

    fn join(&mut self) {
        let n = u8::try_from(self.made + self.verifiers.len()).unwrap_or(u8::MAX);
        let mut bits = [n; 16];
        bits[..8].copy_from_slice(&self.now.as_nanos().to_le_bytes());
        self.verifiers.push(Verifier {
            instance: Instance(bits),
            holds: BTreeSet::new(),
            applied: 0,
            is_connected: false,
            is_frozen: false,
            is_released: false,
            grants: Vec::new(),
            fresh_as_of: None,
            contact: self.now,
        });
        self.verifier_op(&Op::Reconnect(self.verifiers.len() - 1));
    }

    /// What one of them does, if it can.
    fn verifier_op(&mut self, op: &Op) {
        let (Op::Reconnect(n)
        | Op::Disconnect(n)
        | Op::Release(n)
        | Op::Freeze(n)
        | Op::Wake(n)
        | Op::Receive(n, _)
        | Op::Ack(n)
        | Op::Renew(n)) = op
        else {
            return;
        };
        let (now, wall, head) = (self.now, self.wall(), self.head);
        let ring = self.kids(|_| true);
        let Some(verifier) = self.verifiers.get_mut(*n).filter(|verifier| !verifier.is_released) else { return };
        let instance = verifier.instance;
        let acts = verifier.is_connected && !verifier.is_frozen;
        match op {
            Op::Wake(_) => verifier.is_frozen = false,
            Op::Freeze(_) => verifier.is_frozen = true,
            Op::Reconnect(_) if !verifier.is_connected && !verifier.is_frozen => {
                let follower = Follower { service: "cars".into(), address: "::1".into(), version: "1".into() };
                self.registry.connected(now, wall, instance, follower, verifier.applied).unwrap();
                verifier.is_connected = true;
                verifier.contact = now;
            }
            Op::Disconnect(_) if verifier.is_connected => {
                self.registry.disconnected(now, instance);
                verifier.is_connected = false;
                verifier.grants.clear();
            }
            Op::Release(_) if acts => {
                self.registry.released(now, instance);
                verifier.is_released = true;
                verifier.fresh_as_of = None;
            }
            Op::Receive(_, events) if acts => {
                let to = if verifier.applied == 0 { head } else { head.min(verifier.applied.saturating_add(*events)) };
                if self.changes.range(verifier.applied + 1..).next().is_some_and(|seq| *seq <= to) {
                    verifier.holds = ring;
                }
                verifier.applied = to;
                for (asked, _) in verifier.grants.extract_if(.., |(_, head)| *head <= to) {
                    verifier.fresh_as_of = verifier.fresh_as_of.max(Some(asked));
                }
            }
            Op::Ack(_) if acts => {
                self.registry.acked(now, instance, if self.acks_blindly { head } else { verifier.applied });
                verifier.contact = now;
            }
            Op::Renew(_) if acts => {
                let grant = self.registry.renew(now, head, 0, instance, 1).unwrap();
                verifier.grants.push((now, grant.head));
                verifier.contact = now;
            }
            _ => {}
        }
    }
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

#[test]
fn no_key_signs_that_a_live_verifier_lacks() {
    let (activations, emergencies) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(config(250));
    let run = runner.run(&prop::collection::vec(op(), 1..200), |ops| {
        let mut world = World::new();
        for op in &ops {
            world.apply(op)?;
            world.check()?;
        }
        activations.set(activations.get() + world.activations);
        emergencies.set(emergencies.get() + world.emergencies);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    let counts = (activations.get(), emergencies.get());
    assert!(counts.0 > 100 && counts.1 > 40, "activations and emergencies: {counts:?}");
}

/// The same model finds what goes wrong under weaker rules.
#[test]
fn every_one_of_the_rules_is_needed() {
    type Weaken = fn(&mut World);
    let weaker: [(&str, Weaken); 3] = [
        ("settle", |world| world.schedule.settle = Duration::ZERO),
        ("max-age", |world| world.schedule.max_age = Duration::ZERO),
        ("acknowledgements", |world| world.acks_blindly = true),
    ];
    for (what, weaken) in weaker {
        let mut runner = TestRunner::new(Config { max_shrink_iters: 0, ..config(10_000) });
        let run = runner.run(&prop::collection::vec(op(), 1..200), |ops| {
            let mut world = World::new();
            weaken(&mut world);
            ops.iter().try_for_each(|op| world.apply(op).and_then(|()| world.check()))
        });
        assert!(run.is_err(), "nothing goes wrong without {what}");
    }
}

/// However wild it was before: once everything is calm, a rotation ends.
#[test]
fn a_rotation_ends_when_everybody_is_back_or_gone() {
    let mut runner = TestRunner::new(config(100));
    let run = runner.run(&prop::collection::vec(op(), 1..100), |ops| {
        let mut world = World::new();
        for op in &ops {
            world.apply(op)?;
        }
        for n in 0..world.verifiers.len() {
            // The frozen are gone; the connection of a frozen one ends by its keep-alive.
            if world.verifiers[n].is_frozen {
                world.verifier_op(&Op::Disconnect(n));
            } else {
                world.verifier_op(&Op::Reconnect(n));
            }
        }
        // A rotation that was begun ends, and then the next key is staged.
        for _ in 0..=(SETTLE + MAX_AGE + HEARD_OF).as_secs() {
            world.calm_second()?;
        }
        world.apply(&Op::Rotate)?;
        let next = world.ring.promoted().unwrap().kid.clone();
        for _ in 0..=(SETTLE + MAX_AGE + HEARD_OF).as_secs() {
            world.calm_second()?;
        }
        prop_assert_eq!(&world.ring.active().unwrap().kid, &next);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_frozen_verifier_is_named_until_it_is_back_or_gone() {
    for comes_back in [true, false] {
        let mut world = World::new();
        world.join();
        world.join();
        world.apply(&Op::CalmMinute).unwrap();
        world.apply(&Op::Freeze(1)).unwrap();
        // The staged key is one that it has not heard of.
        world.revoke(1);
        world.calm_second().unwrap();
        world.apply(&Op::Rotate).unwrap();
        let frozen = world.verifiers[1].instance;
        let waited_for = |world: &World| {
            let obstacles = obstacles(world.ring.promoted()?, &world.facts(), &schedule());
            Some(obstacles.waiting_for.iter().map(|state| state.instance).collect::<Vec<_>>())
        };
        for _ in 0..3 * HEARD_OF.as_secs() {
            world.calm_second().unwrap();
            assert_eq!(waited_for(&world), Some(vec![frozen]), "connected, it is waited for however long it takes");
        }
        let before = world.ring.active().unwrap().kid.clone();
        if comes_back {
            world.apply(&Op::Wake(1)).unwrap();
            world.calm_second().unwrap();
        } else {
            world.apply(&Op::Disconnect(1)).unwrap();
            for _ in 1..HEARD_OF.as_secs() {
                world.calm_second().unwrap();
                assert_eq!(waited_for(&world), Some(vec![frozen]), "heard of within a minute");
            }
            world.calm_second().unwrap();
        }
        assert_ne!(world.ring.active().unwrap().kid, before, "comes back: {comes_back}");
    }
}

#[test]
fn time_alone_clears_a_key_that_everybody_has() {
    let mut world = World::new();
    world.apply(&Op::Rotate).unwrap();
    let within = |world: &World| obstacles(world.ring.promoted().unwrap(), &world.facts(), &schedule()).not_within;
    assert_eq!(within(&world), SETTLE);
    world.apply(&Op::Tick(59_999)).unwrap();
    world.housekeeping().unwrap();
    assert_eq!((within(&world), world.activations), (Duration::from_millis(1), 0));
    world.apply(&Op::Tick(1)).unwrap();
    world.housekeeping().unwrap();
    assert_eq!(world.activations, 1);
    // The next one is staged, published, and held back for those who fetched just before.
    world.housekeeping().unwrap();
    world.apply(&Op::Rotate).unwrap();
    assert_eq!(within(&world), MAX_AGE + ON_ITS_WAY);
    world.apply(&Op::Tick(5_000)).unwrap();
    assert_eq!(within(&world), MAX_AGE + ON_ITS_WAY, "it counts from when the set is served");
    world.reload();
    world.apply(&Op::Tick(5_000)).unwrap();
    assert_eq!(within(&world), MAX_AGE + ON_ITS_WAY - Duration::from_secs(5));
}

#[test]
fn a_key_that_signed_for_long_enough_is_rotated() {
    let mut world = World::new();
    let every = Duration::from_secs(3600);
    let due = |world: &World, rotate_every| world.ring.due(&world.facts(), &Schedule { rotate_every, ..schedule() });
    world.store(vec![SealedKey { activated_at: Some(world.wall()), ..key(0, KeyState::Active) }]);
    world.apply(&Op::Tick(3_599_999)).unwrap();
    assert_eq!(due(&world, every), None);
    world.apply(&Op::Tick(1)).unwrap();
    assert_eq!(due(&world, every), Some(Due::Rotation));
    assert_eq!(due(&world, Duration::ZERO), None);
    world.apply(&Op::Rotate).unwrap();
    assert!(matches!(due(&world, every), Some(Due::Activation(_))));
}

#[test]
fn a_service_may_have_a_time_of_its_own_between_rotations() {
    let mut world = World::new();
    world.store(vec![SealedKey { activated_at: Some(world.wall()), ..key(0, KeyState::Active) }]);
    world.apply(&Op::Tick(3_600_000)).unwrap();
    let due = |own: Option<u64>, general: u64| {
        let ring = Ring { rotate_every: own.map(Duration::from_secs), ..world.ring.clone() };
        ring.due(&world.facts(), &Schedule { rotate_every: Duration::from_secs(general), ..schedule() })
    };
    assert_eq!(due(None, 3_600), Some(Due::Rotation));
    assert_eq!(due(Some(3_600), 0), Some(Due::Rotation), "sooner than the others");
    assert_eq!(due(Some(3_601), 3_600), None, "later than the others");
    assert_eq!(due(Some(0), 3_600), None, "never by itself");
}

#[test]
fn keys_go_when_no_token_needs_them() {
    let mut world = World::new();
    let active = world.ring.active().unwrap().clone();
    let changed = world.ring.revocation(&active, world.wall(), CEILING).unwrap();
    world.store(changed);
    world.stage();
    world.store(world.ring.promotion(world.wall()).into_iter().collect());
    let cleared = Cleared("k2".parse().unwrap());
    world.store(world.ring.activation(&cleared, world.wall(), CEILING));
    let gone = |floor| world.ring.passed(floor).map(|key| key.kid.as_str()).collect::<Vec<_>>();
    let revoked_until = CEILING - AHEAD_OF_FORGETTING.as_secs();
    assert!(gone(revoked_until - 1).is_empty());
    assert_eq!(gone(revoked_until), ["k0"], "before its event is forgotten");
    assert_eq!(gone(CEILING - 1), ["k0"]);
    assert_eq!(gone(CEILING), ["k0", "k1"]);
    assert_eq!(gone(u64::MAX), ["k0", "k1"], "what signs or will sign stays");
}
