//! The order of loads and stores between the one follower and the many who decide, in every interleaving that the memory
//! model allows. A view has a single segment of two slots here, so the third event already makes it grow.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::view::{TokenKeys, TokenParts};
use super::{
    Accepted, Batch, Change, Drift, EndpointDecision, Event, Follower, Grant, Instance, Judgement, Publication,
    Question, Stamp, Step, View,
};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

const NOW: Moment = Moment::from_nanos(100);

fn explore(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

fn view() -> Arc<View> {
    Arc::new(View::predictable(["cars"]))
}

fn token(view: &View) -> TokenKeys {
    let parts = TokenParts {
        aud: "cars",
        jti: "t",
        sid: Some("s"),
        sub: "u",
        client_id: "c",
        actors: &[],
        epoch: 0,
        exp: 100,
        kid: "k",
    };
    view.keys_of_parts(&parts).unwrap()
}

/// The revocation is the last event of the batch; the others make the segment grow.
fn batch(events: u64) -> Batch {
    let change = |seq| {
        if seq == events {
            Change::SessionRevoked("s".to_owned())
        } else {
            Change::TokenRevoked(format!("other {seq}"))
        }
    };
    let events_of_it = (1..=events).map(|seq| Event { seq, until: 200, change: change(seq) }).collect();
    Batch { from: 0, to: events, floor: 0, events: events_of_it, part: 0, last: true }
}

fn follower(view: &View, head: u64) -> Follower {
    let mut follower = Follower::new(Instance([1; 16]), Drift::default());
    let n = follower.renew(NOW).n;
    follower.grant(view, Grant { n, head, lease: Duration::from_secs(3), age: Duration::ZERO, floor: 0 }, NOW);
    follower
}

/// A batch that was taken. What a thread does is kept to the steps that others can see: where a thread also reads what
/// it is about to write, loom may not find every order with the reads of another.
fn accepted(follower: &mut Follower, view: &View, batch: Batch) -> Publication {
    match follower.accept(view, batch) {
        Accepted::Publish(publication) => publication,
        other => panic!("{other:?}"),
    }
}

/// Publishes up to the acknowledgement, and what that says.
fn publish(follower: &mut Follower, view: &View, mut publication: Publication) -> u64 {
    loop {
        if let Step::Ack(applied) = publication.step(follower, view).unwrap() {
            return applied;
        }
    }
}

fn decide(view: &View, token: &TokenKeys, stamp: Option<&Stamp>) -> (Judgement, bool) {
    let outcome = EndpointDecision::run(view, Question::about(token, stamp), || NOW);
    (outcome.judgement, outcome.standing.is_leased)
}

#[test]
fn who_sees_the_lease_sees_what_was_committed_before_it() {
    explore(|| {
        let view = view();
        // The lease waits for the events below its head.
        let mut follower = follower(&view, 2);
        let publication = accepted(&mut follower, &view, batch(2));
        let follows = {
            let view = Arc::clone(&view);
            thread::spawn(move || assert_eq!(publish(&mut follower, &view, publication), 2))
        };
        let (judgement, is_leased) = decide(&view, &token(&view), None);
        assert!(!is_leased || judgement == Judgement::Refused, "leased and {judgement:?}");
        follows.join().unwrap();
        assert_eq!(decide(&view, &token(&view), None), (Judgement::Refused, true));
    });
}

#[test]
fn who_sees_the_position_sees_its_events() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 2);
        let publication = accepted(&mut follower, &view, batch(2));
        let follows = {
            let view = Arc::clone(&view);
            thread::spawn(move || assert_eq!(publish(&mut follower, &view, publication), 2))
        };
        let applied = view.applied();
        let judgement = view.judge(&token(&view));
        assert!(applied < 2 || judgement == Judgement::Refused, "{applied} is applied and it is {judgement:?}");
        follows.join().unwrap();
    });
}

#[test]
fn a_stamp_from_before_an_acknowledgement_stands_for_nothing_after_it() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        let publication = accepted(&mut follower, &view, batch(1));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let follows = {
            let (view, acknowledged) = (Arc::clone(&view), Arc::clone(&acknowledged));
            thread::spawn(move || {
                let applied = publish(&mut follower, &view, publication);
                acknowledged.store(applied, Ordering::Release);
            })
        };
        let (token, stamp) = (token(&view), Stamp::default());
        decide(&view, &token, Some(&stamp));
        let is_acknowledged = acknowledged.load(Ordering::Acquire) == 1;
        let (judgement, _) = decide(&view, &token, Some(&stamp));
        assert!(!is_acknowledged || judgement == Judgement::Refused, "acknowledged and {judgement:?}");
        follows.join().unwrap();
    });
}

#[test]
fn a_lease_that_was_given_back_is_of_no_use_to_a_decision_under_way() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        let released = Arc::new(AtomicU64::new(0));
        let releases = {
            let (view, released) = (Arc::clone(&view), Arc::clone(&released));
            thread::spawn(move || {
                follower.release(&view);
                released.store(1, Ordering::Release);
            })
        };
        let (token, mut decision) = (token(&view), EndpointDecision::default());
        let question = Question::about(&token, None);
        let first = decision.step(&view, question, || NOW);
        assert!(first.is_none());
        let is_released = released.load(Ordering::Acquire) == 1;
        let outcome = loop {
            if let Some(outcome) = decision.step(&view, question, || NOW) {
                break outcome;
            }
        };
        assert!(!(is_released && outcome.standing.is_leased), "leased after the release");
        releases.join().unwrap();
    });
}

#[test]
fn what_is_there_is_found_while_the_index_grows() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        follower.batch(&view, batch(1));
        let other = |seq| Event { seq, until: 200, change: Change::TokenRevoked(format!("other {seq}")) };
        let events = vec![other(2), other(3)];
        let growth = Batch { from: 1, to: 3, floor: 0, events, part: 0, last: true };
        let publication = accepted(&mut follower, &view, growth);
        let follows = {
            let view = Arc::clone(&view);
            thread::spawn(move || assert_eq!(publish(&mut follower, &view, publication), 3))
        };
        assert_eq!(view.judge(&token(&view)), Judgement::Refused);
        follows.join().unwrap();
        assert_eq!(view.len(), 3);
    });
}

#[test]
fn what_the_floor_has_passed_is_expired_as_soon_as_it_is_forgotten() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        follower.batch(&view, batch(1));
        let follows = {
            let view = Arc::clone(&view);
            // The floor passes the end of the token and of the event that hits it.
            thread::spawn(move || {
                follower.batch(&view, Batch { from: 1, to: 2, floor: 200, events: vec![], part: 0, last: true });
            })
        };
        let judgement = view.judge(&token(&view));
        assert!(matches!(judgement, Judgement::Refused | Judgement::Expired), "{judgement:?}");
        follows.join().unwrap();
    });
}

#[test]
fn who_sees_an_entry_sees_its_position() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        let change = Change::SubjectEnded("u".to_owned());
        let events = vec![Event { seq: 1, until: 200, change }];
        let publication =
            accepted(&mut follower, &view, Batch { from: 0, to: 1, floor: 0, events, part: 0, last: true });
        let follows = {
            let view = Arc::clone(&view);
            thread::spawn(move || assert_eq!(publish(&mut follower, &view, publication), 1))
        };
        let applied = view.applied();
        // It ends what was minted before its position, so the position has to be there as soon as the entry is.
        let judgement = view.judge(&token(&view));
        assert!(applied < 1 || judgement == Judgement::Refused, "{applied} is applied and it is {judgement:?}");
        follows.join().unwrap();
    });
}

/// One place is kept here: the second event is written over the first while somebody looks.
#[test]
fn what_was_written_over_is_not_missed() {
    explore(|| {
        let view = view();
        let mut follower = follower(&view, 0);
        let (token, stamp) = (token(&view), Stamp::default());
        assert_eq!(decide(&view, &token, Some(&stamp)).0, Judgement::Good);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let first = accepted(&mut follower, &view, batch(1));
        let follows = {
            let (view, acknowledged) = (Arc::clone(&view), Arc::clone(&acknowledged));
            thread::spawn(move || {
                acknowledged.store(publish(&mut follower, &view, first), Ordering::Release);
                view.put(&Event { seq: 2, until: 200, change: Change::TokenRevoked("other 2".to_owned()) });
            })
        };
        let is_acknowledged = acknowledged.load(Ordering::Acquire) == 1;
        let (judgement, _) = decide(&view, &token, Some(&stamp));
        assert!(!is_acknowledged || judgement == Judgement::Refused, "acknowledged and {judgement:?}");
        follows.join().unwrap();
    });
}
