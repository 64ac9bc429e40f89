//! The index of everything that can hit a token: read without locks, written by one, an event in constant time.
//!
//! A key is a keyed 64-bit hash of an event's kind and of what it is about; beside it stands the newest `seq`. The
//! table is cut into segments that grow one at a time, so that no event ever copies the whole. A hash that happens to
//! equal another's makes a good token refused, never a bad one accepted: with a million entries that is once in 10^13
//! tokens, and nobody can aim at it, for the seed is random and ids come from the authority.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::sync::{AtomicU64, Mutex, Ordering, Published};

/// What an entry of the index is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Token,
    Session,
    SubjectChanged,
    SubjectEnded,
    Key,
}

/// The hash of a kind and an id; never 0, which marks an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

/// How many segments there are, as a power of two, and how many slots each has at first. Models, which copy whole views at
/// every step, and loom have a single small one, which grows just the same.
const SEGMENT_BITS: u32 = if cfg!(any(all(test, loom), propusk_mutants)) { 0 } else { 8 };
const FIRST_SLOTS: usize = if cfg!(any(all(test, loom), propusk_mutants)) { 2 } else { 8 };

pub(crate) struct Index {
    hasher: SeedableRandomState,
    directory: Published<Directory>,
    writer: Mutex<Writer>,
}

pub(crate) struct Directory {
    segments: Vec<Arc<Segment>>,
}

struct Segment {
    slots: Box<[Slot]>,
}

struct Slot {
    key: AtomicU64,
    seq: AtomicU64,
}

/// What only the writer needs to know.
struct Writer {
    segments: Vec<Ledger>,
    floor: u32,
    /// The segment to sweep next.
    next_sweep: usize,
}

/// The other half of a segment: when each of its slots can be forgotten.
#[derive(Clone)]
struct Ledger {
    /// Unix seconds, slot by slot.
    untils: Vec<u32>,
    len: usize,
    /// No entry can be forgotten before.
    earliest: u32,
}

impl Ledger {
    fn new(slots: usize) -> Self {
        Self { untils: vec![0; slots], len: 0, earliest: u32::MAX }
    }
}

impl KeyHash {
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

impl Index {
    /// An empty index whose hashes nobody can predict.
    #[expect(clippy::expect_used, reason = "a predictable index could be aimed at")]
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed).expect("the system's random generator answers");
        Self::with_hasher(SeedableRandomState::with_seed(u64::from_ne_bytes(seed), SharedSeed::global_random()))
    }

    /// An empty index that is the same in every run, for models and simulations.
    pub(crate) fn predictable() -> Self {
        Self::with_hasher(SeedableRandomState::with_seed(0, SharedSeed::global_fixed()))
    }

    fn with_hasher(hasher: SeedableRandomState) -> Self {
        let count = 1_usize << SEGMENT_BITS;
        let segments = (0..count).map(|_| Arc::new(Segment::new(FIRST_SLOTS))).collect();
        let ledgers = vec![Ledger::new(FIRST_SLOTS); count];
        Self {
            hasher,
            directory: Published::new(Directory { segments }),
            writer: Mutex::new(Writer { segments: ledgers, floor: 0, next_sweep: 0 }),
        }
    }

    /// The hash to look an id up by.
    pub(crate) fn hash(&self, kind: Kind, id: &str) -> KeyHash {
        KeyHash(self.hasher.hash_one((kind as u8, id)).max(1))
    }

    /// Begins a look-up. What was inserted before is in it.
    pub(crate) fn read(&self) -> Reader<impl std::ops::Deref<Target = Arc<Directory>>> {
        Reader(self.directory.load())
    }

    /// Inserts an entry, or raises the one that is there.
    pub(crate) fn insert(&self, key: KeyHash, seq: u64, until: u64) {
        let until = u32::try_from(until).unwrap_or(u32::MAX);
        let mut writer = self.writer.lock();
        let number = segment_of(key);
        let directory = Arc::clone(&self.directory.load());
        let (Some(segment), Some(ledger)) = (directory.segments.get(number), writer.segments.get(number)) else {
            return;
        };
        let segment = if (ledger.len + 1) * 4 > ledger.untils.len() * 3 {
            self.rebuild(&directory, &mut writer, number)
        } else {
            Arc::clone(segment)
        };
        if let Some(ledger) = writer.segments.get_mut(number) {
            segment.put(ledger, key.0, seq, until);
        }
    }

    /// Forgets entries whose `until` the floor has passed: a few segments at a call.
    pub(crate) fn sweep(&self, floor: u64) {
        const AT_A_TIME: usize = 16;
        // An `until` beyond 32 bits is kept as the highest number: no floor reaches that.
        let floor = u32::try_from(floor).unwrap_or(u32::MAX).min(u32::MAX - 1);
        let mut writer = self.writer.lock();
        writer.floor = writer.floor.max(floor);
        for _ in 0..AT_A_TIME {
            let number = writer.next_sweep;
            writer.next_sweep = (number + 1) % writer.segments.len();
            if writer.segments.get(number).is_some_and(|ledger| ledger.earliest <= floor) {
                let directory = Arc::clone(&self.directory.load());
                self.rebuild(&directory, &mut writer, number);
            }
        }
    }

    /// Puts a segment in the place of an old one: with what is still needed, and room for as much again.
    fn rebuild(&self, directory: &Directory, writer: &mut Writer, number: usize) -> Arc<Segment> {
        let floor = writer.floor;
        let (Some(old), Some(ledger)) = (directory.segments.get(number), writer.segments.get_mut(number)) else {
            return Arc::new(Segment::new(FIRST_SLOTS));
        };
        let kept: Vec<(u64, u64, u32)> = old.entries(ledger).filter(|(_, _, until)| *until > floor).collect();
        let slots = (kept.len() * 2 + 2).next_power_of_two().max(FIRST_SLOTS);
        let segment = Arc::new(Segment::new(slots));
        let mut fresh = Ledger::new(slots);
        for (key, seq, until) in kept {
            segment.put(&mut fresh, key, seq, until);
        }
        *ledger = fresh;
        let mut segments = directory.segments.clone();
        if let Some(place) = segments.get_mut(number) {
            *place = Arc::clone(&segment);
        }
        self.directory.store(Arc::new(Directory { segments }));
        segment
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.writer.lock().segments.iter().map(|ledger| ledger.len).sum()
    }

    /// Every entry as key, `seq` and `until`, in order; for models, which compare states.
    pub(crate) fn entries(&self) -> Vec<(u64, u64, u32)> {
        let writer = self.writer.lock();
        let directory = Arc::clone(&self.directory.load());
        let mut entries: Vec<_> = directory
            .segments
            .iter()
            .zip(&writer.segments)
            .flat_map(|(segment, ledger)| segment.entries(ledger))
            .collect();
        entries.sort_unstable();
        entries
    }

    /// Forgets everything.
    #[cfg(propusk_mutants)]
    pub(crate) fn clear(&self) {
        let fresh = Self::predictable();
        self.directory.store(Arc::clone(&fresh.directory.load()));
        *self.writer.lock() = fresh.writer.into_inner();
    }

    /// A copy of its own; for models.
    pub(crate) fn fork(&self) -> Self {
        let copy = Self::with_hasher(self.hasher.clone());
        for (key, seq, until) in self.entries() {
            copy.insert(KeyHash(key), seq, u64::from(until));
        }
        copy.writer.lock().floor = self.writer.lock().floor;
        copy
    }
}

fn segment_of(key: KeyHash) -> usize {
    let number = key.0.checked_shr(u64::BITS - SEGMENT_BITS).unwrap_or_default();
    usize::try_from(number).unwrap_or_default()
}

impl Segment {
    fn new(slots: usize) -> Self {
        let empty = |_| Slot { key: AtomicU64::new(0), seq: AtomicU64::new(0) };
        Self { slots: (0..slots).map(empty).collect() }
    }

    /// The slots in which a key can be, nearest first.
    fn probe(&self, key: u64) -> impl Iterator<Item = (usize, &Slot)> {
        let mask = self.slots.len() - 1;
        let first = usize::try_from(key & (mask as u64)).unwrap_or_default();
        (0..self.slots.len()).filter_map(move |step| {
            let number = (first + step) & mask;
            self.slots.get(number).map(|slot| (number, slot))
        })
    }

    fn get(&self, key: u64) -> Option<u64> {
        for (_, slot) in self.probe(key) {
            match slot.key.load(Ordering::Acquire) {
                0 => return None,
                found if found == key => return Some(slot.seq.load(Ordering::Acquire)),
                _ => {}
            }
        }
        None
    }

    /// Only the writer calls this, and there is room.
    fn put(&self, ledger: &mut Ledger, key: u64, seq: u64, until: u32) {
        for (number, slot) in self.probe(key) {
            let found = slot.key.load(Ordering::Relaxed);
            if found != 0 && found != key {
                continue;
            }
            if found == 0 || slot.seq.load(Ordering::Relaxed) < seq {
                slot.seq.store(seq, Ordering::Release);
            }
            if found == 0 {
                // The reader that sees the key sees its `seq`.
                slot.key.store(key, Ordering::Release);
                ledger.len += 1;
            }
            if let Some(kept) = ledger.untils.get_mut(number) {
                *kept = until.max(*kept);
                ledger.earliest = ledger.earliest.min(*kept);
            }
            return;
        }
    }

    fn entries<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = (u64, u64, u32)> + 'a {
        self.slots.iter().zip(&ledger.untils).filter_map(|(slot, until)| {
            let key = slot.key.load(Ordering::Relaxed);
            (key != 0).then(|| (key, slot.seq.load(Ordering::Relaxed), *until))
        })
    }
}

/// One look at the index.
pub(crate) struct Reader<D>(D);

impl<D: std::ops::Deref<Target = Arc<Directory>>> Reader<D> {
    /// The newest `seq` of this key.
    pub(crate) fn get(&self, key: KeyHash) -> Option<u64> {
        self.0.segments.get(segment_of(key)).and_then(|segment| segment.get(key.0))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, u64),
        Sweep(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => (0_u16..400, 1_u64..200).prop_map(|(id, until)| Step::Insert(id, until)),
            1 => (1_u64..200).prop_map(Step::Sweep),
        ]
    }

    proptest! {
        /// Against a map that keeps everything: the index may forget only what the floor has passed.
        #[test]
        fn as_a_map_that_forgets_only_below_the_floor(steps in prop::collection::vec(step(), 0..2000)) {
            let index = Index::new();
            let mut shadow: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
            let mut floor = 0;
            for (seq, step) in (1..).zip(steps) {
                match step {
                    Step::Insert(id, until) => {
                        index.insert(index.hash(Kind::Token, &id.to_string()), seq, until);
                        let entry = shadow.entry(id).or_default();
                        *entry = (seq, entry.1.max(until));
                    }
                    Step::Sweep(to) => {
                        floor = floor.max(to);
                        index.sweep(to);
                    }
                }
            }
            let reader = index.read();
            for (id, (seq, until)) in shadow {
                let found = reader.get(index.hash(Kind::Token, &id.to_string()));
                if until > floor {
                    prop_assert_eq!(found, Some(seq));
                } else {
                    prop_assert!(found.is_none_or(|found| found <= seq));
                }
                prop_assert_eq!(reader.get(index.hash(Kind::Session, &id.to_string())), None);
            }
        }
    }

    #[test]
    fn forgets_in_the_end() {
        let index = Index::new();
        for id in 0..10_000 {
            index.insert(index.hash(Kind::Token, &id.to_string()), id, 100 + id % 2);
        }
        assert_eq!(index.len(), 10_000);
        for _ in 0..16 {
            index.sweep(100);
        }
        assert_eq!(index.len(), 5_000);
        for _ in 0..16 {
            index.sweep(101);
        }
        assert_eq!(index.len(), 0);
    }
}
