//! What the authority sends: any bytes, through decoding, conversion and the follower, beside a shadow that forgets
//! nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use prost::Message as _;

use super::engine::{Rng, Target};
use crate::clock::Moment;
use crate::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, Judgement, Reaction, TokenParts, View};
use crate::grpc::proto;

const AUDIENCES: [&str; 2] = ["cars", "posts"];

#[test]
fn feed_messages() {
    let words = &[
        "\u{a}",
        "\u{12}",
        "\u{1a}\u{1}a",
        "\u{8}\u{0}",
        "cars",
        "posts",
        "*",
        "{\"keys\":[]}",
        "\u{28}\u{1}",
        "\u{7f}\u{7f}\u{7f}",
    ];
    Target { name: "feed-messages", make, words, run }.fuzz();
}

/// What happens, each with its length before it.
enum Step<'a> {
    Reply(&'a [u8]),
    Renew(&'a [u8]),
    Subscribe,
    Release,
    StartAfresh,
}

fn steps(mut input: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    while let [kind, low, high, rest @ ..] = input {
        let (payload, after) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
        input = after;
        steps.push(match kind % 64 {
            0..48 => Step::Reply(payload),
            48..59 => Step::Renew(payload),
            59..62 => Step::Subscribe,
            62 => Step::Release,
            _ => Step::StartAfresh,
        });
    }
    steps
}

fn run(input: &[u8]) -> BTreeSet<&'static str> {
    let mut world = World::new();
    let mut led_to = BTreeSet::new();
    for step in steps(input) {
        led_to.insert(world.take(step));
        world.shadow.compare(&world.view);
    }
    led_to
}

struct World {
    view: View,
    follower: Follower,
    now: Moment,
    shadow: Shadow,
}

/// What has to be true by now, by rules that know nothing of how it is kept.
#[derive(Default)]
struct Shadow {
    events: Vec<(Change, u64, u64)>,
    /// How many of them were there when the log went back, until a snapshot is whole.
    lost: Option<usize>,
    applied: u64,
    /// No less than this.
    floor: u64,
    /// By audience: the newest `seq`, and the names in its ring.
    rings: BTreeMap<String, (u64, Vec<String>)>,
    policies: BTreeMap<String, (u64, Vec<String>)>,
    /// The renewals whose grants may come.
    asked: VecDeque<(u64, Moment)>,
    waiting: Vec<(Moment, Grant)>,
    fresh_as_of: Moment,
    lease_end: Moment,
    released: bool,
}

impl World {
    fn new() -> Self {
        Self {
            view: View::predictable(AUDIENCES),
            follower: Follower::new(Instance([1; 16]), Drift::default()),
            now: Moment::from_nanos(1_000_000_000_000),
            shadow: Shadow::default(),
        }
    }

    fn take(&mut self, step: Step<'_>) -> &'static str {
        match step {
            Step::Reply(bytes) => return self.reply(bytes),
            Step::Renew(bytes) => {
                let millis = bytes.first().map_or(0, |byte| u64::from(*byte) * 50);
                self.now = self.now.plus(Duration::from_millis(millis));
                let n = self.follower.renew(self.now).n;
                assert!(
                    self.shadow.asked.back().is_none_or(|(last, _)| *last < n),
                    "a renewal's number was used twice"
                );
                self.shadow.asked.push_back((n, self.now));
                return "renew";
            }
            Step::Subscribe => {
                assert_eq!(self.follower.subscribe(&self.view).applied, self.view.applied());
            }
            Step::Release => {
                self.follower.release(&self.view);
                self.shadow.released = true;
                self.shadow.waiting.clear();
                self.shadow.lease_end = Moment::BEGINNING;
                return "release";
            }
            Step::StartAfresh => {
                self.follower.start_afresh(&self.view, Instance([2; 16]));
                let shadow = &mut self.shadow;
                (shadow.applied, shadow.fresh_as_of, shadow.lease_end) = (0, Moment::BEGINNING, Moment::BEGINNING);
                shadow.waiting.clear();
                shadow.asked.clear();
                // They stay until others come, whatever the position of those.
                shadow.lost = Some(shadow.events.len());
                shadow.rings.values_mut().chain(shadow.policies.values_mut()).for_each(|(seq, _)| *seq = 0);
                return "start afresh";
            }
        }
        "subscribe"
    }

    fn reply(&mut self, bytes: &[u8]) -> &'static str {
        use proto::follow_reply::Message;
        let Ok(reply) = proto::FollowReply::decode(bytes) else { return "not decoded" };
        match reply.message {
            None => "of a kind that we do not know",
            Some(Message::Grant(grant)) => self.grant(grant.into()),
            Some(Message::Batch(sent)) => {
                let has_unknown = sent.events.iter().any(|event| event.change.is_none());
                let Ok(batch) = Batch::try_from(sent) else { return "malformed" };
                assert!(!has_unknown, "an event that we do not know could be a revocation");
                self.batch(batch)
            }
        }
    }

    fn grant(&mut self, grant: Grant) -> &'static str {
        self.follower.grant(&self.view, grant, self.now);
        let shadow = &mut self.shadow;
        let asked = shadow.asked.iter().rev().take(64).find(|(n, _)| *n == grant.n).map(|(_, at)| *at);
        let Some(t0) = asked.filter(|_| !shadow.released) else { return "a grant that nobody asked for" };
        shadow.floor = shadow.floor.max(grant.floor);
        shadow.waiting.push((t0, grant));
        shadow.settle();
        if grant.head <= shadow.applied { "grant" } else { "a grant that waits" }
    }

    fn batch(&mut self, batch: Batch) -> &'static str {
        let reaction = self.follower.batch(&self.view, batch.clone());
        let shadow = &mut self.shadow;
        shadow.floor = shadow.floor.max(batch.floor);
        if batch.to <= shadow.applied {
            assert_eq!(reaction, Reaction::None);
            return "known";
        }
        if reaction == Reaction::Resubscribe {
            let is_part = batch.from == 0 && batch.part > 0;
            assert!(batch.from > shadow.applied || is_part, "a batch that continues what is applied is taken");
            return "gap";
        }
        assert!(batch.from <= shadow.applied, "a gap was taken");
        let is_whole = batch.last;
        assert_eq!(reaction, if is_whole { Reaction::Ack(batch.to) } else { Reaction::None });
        let is_snapshot = batch.from == 0;
        batch.events.into_iter().for_each(|event| shadow.remember(event));
        if is_whole {
            shadow.forget_lost();
            shadow.applied = batch.to;
            shadow.settle();
        }
        match (is_snapshot, is_whole) {
            (true, true) => "snapshot",
            (true, false) => "part of a snapshot",
            (false, true) => "batch",
            (false, false) => "part of a batch",
        }
    }
}

impl Shadow {
    fn remember(&mut self, Event { seq, until, change }: Event) {
        let newest = |known: &mut BTreeMap<String, (u64, Vec<String>)>, aud: &str, names: Vec<String>| {
            let entry = known.entry(aud.to_owned()).or_default();
            if seq > entry.0 {
                *entry = (seq, names);
            }
        };
        match &change {
            Change::KeysChanged { aud, ring } => {
                newest(&mut self.rings, aud, ring.kids().map(str::to_owned).collect());
            }
            Change::PolicyChanged { aud, table } => newest(&mut self.policies, aud, table.0.keys().cloned().collect()),
            _ => self.events.push((change, seq, until)),
        }
    }

    /// An `all_changed` of the lost part of the log holds until a snapshot has told which one there is.
    fn forget_lost(&mut self) {
        let mut lost = self.lost.take().unwrap_or(0);
        self.events.retain(|(change, ..)| {
            let is_lost = lost > 0;
            lost = lost.saturating_sub(1);
            !is_lost || !matches!(change, Change::AllChanged(_))
        });
    }

    /// Grants count once their head is applied.
    fn settle(&mut self) {
        let (applied, mut fresh, mut end) = (self.applied, self.fresh_as_of, self.lease_end);
        self.waiting.retain(|(t0, grant)| {
            if grant.head > applied {
                return true;
            }
            fresh = fresh.max(t0.minus(grant.age));
            // Four fifths of it: either clock may be slewed by a tenth.
            if !grant.lease.is_zero() {
                end = end.max(t0.plus(grant.lease.saturating_mul(4) / 5));
            }
            false
        });
        (self.fresh_as_of, self.lease_end) = (fresh, end);
    }

    fn compare(&self, view: &View) {
        assert_eq!(view.applied(), self.applied);
        assert_eq!(view.floor(), self.floor);
        assert!(view.fresh_as_of() <= self.fresh_as_of, "{:?} {:?}", view.fresh_as_of(), self.fresh_as_of);
        assert!(view.lease_end() <= self.lease_end, "{:?} {:?}", view.lease_end(), self.lease_end);
        for (number, aud) in AUDIENCES.into_iter().enumerate() {
            let ring = view.ring(number).unwrap();
            let names = |known: &BTreeMap<String, (u64, Vec<String>)>| known.get(aud).cloned().unwrap_or_default().1;
            assert_eq!(ring.kids().collect::<Vec<_>>(), names(&self.rings));
            assert_eq!(view.policy(number).unwrap().0.keys().cloned().collect::<Vec<_>>(), names(&self.policies));
        }
        self.events.iter().for_each(|(change, seq, until)| is_hit(view, change, *seq, *until));
        // Nothing that was ever sent can hit this one.
        let untouched = TokenParts { epoch: u64::MAX, exp: u64::MAX, ..innocent("cars") };
        let expected = if view.floor() == u64::MAX { Judgement::Expired } else { Judgement::Good };
        assert_eq!(view.judge(&view.keys_of_parts(&untouched).unwrap()), expected);
    }
}

/// Whether an event hits the tokens that it is about, up to the last one that there can be.
fn is_hit(view: &View, change: &Change, seq: u64, until: u64) {
    let mut token = TokenParts { exp: until, epoch: seq.saturating_sub(1), ..innocent("cars") };
    let actors: [&str; 1];
    let is_refused = match change {
        Change::TokenRevoked(jti) => {
            token.jti = jti;
            true
        }
        Change::SessionRevoked(sid) => {
            token.sid = Some(sid);
            true
        }
        Change::SubjectEnded(id) => {
            token.client_id = id;
            true
        }
        Change::SubjectChanged(id) => {
            actors = [id];
            token.actors = &actors;
            false
        }
        Change::KeyRevoked(kid) => {
            token.kid = kid;
            false
        }
        Change::AllChanged(aud) => match AUDIENCES.into_iter().find(|known| *known == aud) {
            Some(known) => {
                token.aud = known;
                false
            }
            None if aud == "*" => false,
            None => return,
        },
        Change::KeysChanged { .. } | Change::PolicyChanged { .. } => return,
    };
    // Tokens of before the event are hit; there are none from before the beginning.
    let needs_epoch = !matches!(change, Change::TokenRevoked(_) | Change::SessionRevoked(_) | Change::KeyRevoked(_));
    if until <= view.floor() || (needs_epoch && seq == 0) {
        return;
    }
    let found = view.judge(&view.keys_of_parts(&token).unwrap());
    let is_right = found == Judgement::Refused || (!is_refused && found == Judgement::Stale);
    assert!(is_right, "{change:?} of {seq} until {until} was forgotten: {found:?} at floor {}", view.floor());
}

/// A token whose ids nobody sends.
fn innocent(aud: &str) -> TokenParts<'_> {
    const ID: &str = "an id that no event names";
    TokenParts { aud, jti: ID, sid: Some(ID), sub: ID, client_id: ID, actors: &[], epoch: 0, exp: 1, kid: ID }
}

/// A conversation as it might be, with numbers near the edges now and then.
fn make(rng: &mut Rng) -> Vec<u8> {
    use proto::follow_reply::Message;
    let mut input = Vec::new();
    let (mut applied, mut n) = (0, 1);
    for _ in 0..1 + rng.below(12) {
        let (kind, payload) = match rng.below(12) {
            0..7 => {
                let batch = batch(rng, applied);
                applied = applied.max(batch.to);
                (0, reply(Message::Batch(batch)))
            }
            7 | 8 => {
                n += 1;
                (48, vec![rng.byte()])
            }
            9 | 10 => {
                let n = rng.next() % n + 1;
                let (head, floor) = (if rng.one_in(2) { applied } else { rng.number() }, floor(rng));
                let grant = proto::Grant { n, head, lease_ms: rng.number(), age_ms: rng.number(), floor };
                (0, reply(Message::Grant(grant)))
            }
            _ => (*rng.pick(&[59, 59, 62, 63]), Vec::new()),
        };
        input.push(kind);
        input.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_le_bytes());
        input.extend_from_slice(&payload);
    }
    input
}

fn reply(message: proto::follow_reply::Message) -> Vec<u8> {
    proto::FollowReply { message: Some(message) }.encode_to_vec()
}

/// Most of the time it has not moved.
fn floor(rng: &mut Rng) -> u64 {
    if rng.one_in(4) { rng.number() } else { 0 }
}

fn batch(rng: &mut Rng, applied: u64) -> proto::Batch {
    let from = match rng.below(4) {
        0 => 0,
        1 => rng.number(),
        _ => applied,
    };
    let to = if rng.one_in(8) { rng.number() } else { from.saturating_add(rng.next() % 5) };
    let events = (0..rng.below(6)).map(|_| event(rng, from)).collect();
    proto::Batch { from, to, floor: floor(rng), events, last: !rng.one_in(4), part: u32::from(rng.one_in(6)) }
}

fn event(rng: &mut Rng, from: u64) -> proto::Event {
    use proto::event::Change;
    let id = rng.pick(&["a", "b", "c", "d", "", "*", "cars", "posts"]).to_string();
    let change = match rng.below(20) {
        0..3 => Change::TokenRevoked(id),
        3..6 => Change::SessionRevoked(id),
        6..9 => Change::SubjectChanged(id),
        9..12 => Change::SubjectEnded(id),
        12..14 => Change::AllChanged(id),
        14..16 => Change::KeyRevoked(id),
        16 | 17 => {
            let jwks = r#"{"keys":[{"kty":"oct","kid":"K","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
            Change::KeysChanged(proto::KeysChanged {
                aud: id.clone(),
                jwks: jwks.replace('K', &format!("k{id}")).into(),
            })
        }
        _ => {
            let roles = vec![proto::RolePolicy { role: id, permissions: vec!["cars:buy".to_owned()] }];
            Change::PolicyChanged(proto::PolicyChanged { aud: rng.pick(&AUDIENCES).to_string(), roles })
        }
    };
    let seq = if rng.one_in(8) { rng.number() } else { from.saturating_add(rng.next() % 6) };
    proto::Event { seq, until: rng.number(), change: (!rng.one_in(64)).then_some(change) }
}
