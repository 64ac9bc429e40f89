//! The newest events once more, so that a token that was found good a moment ago need not look through the whole index.
//!
//! Where revocations come all the time, every decision looks again. The index is tens of megabytes, and each look into it
//! waits for memory several times; what has come since the last look is a few events, side by side. Each is kept as a mark
//! of 16 bits. A mark that is one of the token's may be another's, so it only says that the index is to be asked.

use crate::mutant;
use crate::sync::{AtomicU64, Ordering};

use super::index::KeyHash;

/// So many events are kept; who was found good before them asks the index. Models and loom keep one.
const KEPT: usize = if cfg!(any(all(test, loom), propusk_mutants)) { 1 } else { 256 };

/// Most marks that a token has. What has more asks the index.
const MARKS: usize = 8;

/// The events by number, each in the place of the one before it by [`KEPT`].
pub(super) struct Recent {
    marks: Box<[AtomicU64]>,
    /// How many were begun to be written.
    begun: AtomicU64,
}

/// What a token is known by among the newest events. None at all, if it has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks([u16; MARKS]);

/// Of an event that may concern any token.
const ANY: u16 = 0;

impl Recent {
    pub(super) fn new() -> Self {
        Self { marks: (0..KEPT).map(|_| AtomicU64::new(0)).collect(), begun: AtomicU64::new(0) }
    }

    /// Adds an event that concerns what has this hash, or anybody. One thread at a time.
    pub(super) fn push(&self, key: Option<KeyHash>) {
        let number = self.begun.load(Ordering::Relaxed);
        // Who sees the new mark sees that the old one is gone.
        self.begun.store(number + 1, Ordering::Release);
        if let Some(place) = self.place(number) {
            place.store(u64::from(key.map_or(ANY, mark)), Ordering::Release);
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether it is certain that none of the events after the first `from` of them, up to `to`, concerns a token. `to`
    /// was published.
    #[inline(never)]
    pub(super) fn all_pass(&self, from: u64, to: u64, token: &Marks) -> bool {
        let is_kept = |newest: u64| newest.checked_sub(from).is_some_and(|count| count <= KEPT as u64);
        if !is_kept(to) || token.is_unknown() {
            return false;
        }
        for number in from..to {
            let mark = self.place(number).map_or(u64::from(ANY), |place| place.load(Ordering::Acquire));
            if mark == u64::from(ANY) || token.0.iter().any(|own| u64::from(*own) == mark) {
                return false;
            }
        }
        // What was read may have been written over by then.
        is_kept(self.count()) || mutant!(RecentOverwritten)
    }

    /// There always is one.
    #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
    fn place(&self, number: u64) -> Option<&AtomicU64> {
        self.marks.get(number as usize % KEPT)
    }

    /// A copy of its own; for models.
    pub(super) fn fork(&self) -> Self {
        let copied = |cell: &AtomicU64| AtomicU64::new(cell.load(Ordering::Acquire));
        Self { marks: self.marks.iter().map(copied).collect(), begun: copied(&self.begun) }
    }

    /// All of it; for models, which compare states.
    pub(super) fn digest(&self) -> impl Iterator<Item = u64> {
        self.marks.iter().chain([&self.begun]).map(|cell| cell.load(Ordering::Acquire))
    }
}

impl Marks {
    /// Those of a token that asks the index for these.
    pub(super) fn of(keys: impl ExactSizeIterator<Item = KeyHash>) -> Self {
        let mut marks = [ANY; MARKS];
        if keys.len() <= MARKS {
            for (place, key) in marks.iter_mut().zip(keys) {
                *place = mark(key);
            }
        }
        Self(marks)
    }

    fn is_unknown(&self) -> bool {
        let [first, ..] = self.0;
        first == ANY
    }
}

/// Never [`ANY`].
#[expect(clippy::cast_possible_truncation, reason = "a part of it is what is wanted")]
fn mark(key: KeyHash) -> u16 {
    ((key.bits() >> 24) as u16).max(1)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::index::{Index, Kind};
    use super::super::{Change, EndpointDecision, Event, Judgement, Question, Stamp, TokenKeys, TokenParts, View};
    use super::*;
    use crate::clock::Moment;

    #[derive(Debug, Clone)]
    enum Step {
        Happens(u8, u16),
        IsPublished,
        IsDecided(u16),
    }

    const TOKENS: u16 = 40;

    /// Most of what happens concerns nobody who asks.
    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            40 => (0_u8..5, 0_u16..4000).prop_map(|(kind, id)| Step::Happens(kind, id)),
            1 => (5_u8..8, 0_u16..1).prop_map(|(kind, id)| Step::Happens(kind, id)),
            10 => Just(Step::IsPublished),
            20 => (0..TOKENS).prop_map(Step::IsDecided),
        ]
    }

    fn change(kind: u8, id: u16) -> Change {
        match kind {
            0 => Change::TokenRevoked(format!("t{id}")),
            1 => Change::SessionRevoked(format!("s{id}")),
            2 => Change::SubjectChanged(format!("u{id}")),
            3 => Change::SubjectEnded(format!("u{id}")),
            4 => Change::KeyRevoked(format!("k{id}")),
            5 => Change::AllChanged("cars".to_owned()),
            6 => Change::AllChanged("*".to_owned()),
            _ => Change::PolicyChanged { aud: "cars".to_owned(), table: Arc::default() },
        }
    }

    /// Some have more marks than there is room for.
    fn keys(view: &View, n: u16, epoch: u64) -> TokenKeys {
        let id = |letter: char| format!("{letter}{n}");
        let actors: Vec<String> = (0..n % 4).map(|actor| format!("u{}", n + actor + 1)).collect();
        let actors: Vec<&str> = actors.iter().map(String::as_str).collect();
        let session = id('s');
        let parts = TokenParts {
            aud: "cars",
            jti: &id('t'),
            sid: n.is_multiple_of(2).then_some(session.as_str()),
            sub: &id('u'),
            client_id: "web",
            actors: &actors,
            epoch,
            exp: 1000,
            kid: &id('k'),
        };
        view.keys_of_parts(&parts).unwrap()
    }

    proptest! {
        #[test]
        fn a_stamp_of_whatever_age_changes_no_answer(steps in prop::collection::vec(step(), 0..1500)) {
            let view = View::new(["cars"]);
            let mut tokens: Vec<_> = (0..TOKENS).map(|n| (keys(&view, n, 0), Stamp::default())).collect();
            for (seq, step) in (1..).zip(steps) {
                match step {
                    Step::Happens(kind, id) => view.put(&Event { seq, until: 1000, change: change(kind, id) }),
                    Step::IsPublished => view.raise_generation(),
                    Step::IsDecided(n) => {
                        let (token, stamp) = &tokens[usize::from(n)];
                        // What is not published may be seen or not; from then on it has to be.
                        view.raise_generation();
                        let ask = |stamp| {
                            EndpointDecision::run(&view, Question::about(token, stamp), || Moment::BEGINNING).judgement
                        };
                        let whole = ask(None);
                        prop_assert_eq!(ask(Some(stamp)), whole);
                        if whole == Judgement::Stale {
                            // It is refreshed.
                            tokens[usize::from(n)] = (keys(&view, n, seq), Stamp::default());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_too_old_or_unknown_or_may_concern_anybody_passes_nobody() {
        let (index, recent) = (Index::predictable(), Recent::new());
        let key = |id: &str| index.hash(Kind::Token, id);
        let token = Marks::of([key("token")].into_iter());
        assert!(recent.all_pass(0, 0, &token) && !recent.all_pass(u64::MAX, 0, &token));
        for n in 0..KEPT {
            recent.push(Some(key(&format!("other {n}"))));
        }
        let all = KEPT as u64;
        assert!(recent.all_pass(0, all, &token));
        assert!(!recent.all_pass(0, all, &Marks::default()), "a token without marks");
        let too_many: Vec<_> = (0..=MARKS).map(|n| key(&format!("own {n}"))).collect();
        assert!(!recent.all_pass(0, all, &Marks::of(too_many.into_iter())));
        recent.push(None);
        assert!(!recent.all_pass(1, all + 1, &token), "one that may concern anybody");
        assert!(!recent.all_pass(0, all, &token), "the first of them was written over");
        recent.push(Some(key("token")));
        assert!(!recent.all_pass(all + 1, all + 2, &token));
        assert!(recent.all_pass(all + 2, all + 2, &token));
    }
}
