//! Tokens that were verified before, so that a token seen again costs no signature check.
//!
//! Only verified tokens enter: a forged one finds nothing, changes nothing and evicts nothing. A hit is a token that is
//! equal in every byte. The table is made of small buckets of a fixed size; what does not fit takes the place of an
//! entry of the same bucket that was not used lately. Reads take no lock and write to nothing that threads share.
//!
//! An entry says that a signature, an issuer and an audience were right. Whether the token has ended or was revoked is
//! asked anew by each decision.

use std::cell::Cell;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Mutex, Ordering, Place, Seen};

/// How much a cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Tokens, rounded up to a power of two. Zero is no cache.
    pub entries: usize,
    /// Bytes of tokens and what was read from them.
    pub bytes: usize,
}

impl Default for CacheLimits {
    /// 8,192 tokens, 16 MiB.
    fn default() -> Self {
        Self { entries: 8 * 1024, bytes: 16 * 1024 * 1024 }
    }
}

/// What a cache has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Tokens that are in it.
    pub entries: u64,
    /// Look-ups that found one.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
}

/// What can be cached under its text.
pub(crate) trait Cached {
    /// Whether this is its whole text.
    fn is(&self, text: &str) -> bool;
    /// What it takes of memory.
    fn bytes(&self) -> usize;
}

/// Places of a bucket. loom, which tries every order of steps, has fewer.
const WAYS: usize = if cfg!(all(test, loom)) { 2 } else { 4 };
/// Buckets for so many entries: with two to a bucket on average, one in twenty finds its bucket full.
const ENTRIES_OF_A_BUCKET: usize = 2;

pub(crate) struct Cache<T: Cached> {
    hasher: SeedableRandomState,
    buckets: Box<[Bucket<T>]>,
    limits: CacheLimits,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    counts: Counts,
}

/// A found entry, borrowed without touching its reference count.
pub(crate) type Found<T> = Seen<T>;

#[repr(align(64))]
struct Bucket<T> {
    /// Part of each entry's hash; 0 is an empty place.
    tags: [AtomicU32; WAYS],
    used: [AtomicBool; WAYS],
    hand: AtomicU8,
    /// Held to change the bucket; nobody holds it to read.
    writing: Mutex<()>,
    places: [Place<T>; WAYS],
}

impl<T> Bucket<T> {
    fn new() -> Self {
        Self {
            tags: std::array::from_fn(|_| AtomicU32::new(0)),
            used: std::array::from_fn(|_| AtomicBool::new(false)),
            hand: AtomicU8::new(0),
            writing: Mutex::new(()),
            places: std::array::from_fn(|_| Place::empty()),
        }
    }
}

impl<T: Cached> Cache<T> {
    #[expect(clippy::expect_used, reason = "a predictable table could be aimed at")]
    pub(crate) fn new(limits: CacheLimits) -> Self {
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed).expect("the system's random generator answers");
        let hasher = SeedableRandomState::with_seed(u64::from_ne_bytes(seed), SharedSeed::global_random());
        let buckets = match limits.entries {
            0 => 0,
            entries => entries.div_ceil(ENTRIES_OF_A_BUCKET).next_power_of_two(),
        };
        Self {
            hasher,
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            limits,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }

    /// The entry of exactly this text.
    #[inline(always)]
    pub(crate) fn get(&self, text: &str) -> Option<Found<T>> {
        let hash = self.hash(text);
        let found = self.bucket(hash).and_then(|bucket| find(bucket, tag(hash), text));
        self.counts.count(found.is_some());
        found
    }

    /// Puts in what was just verified, under its text.
    pub(crate) fn insert(&self, text: &str, entry: Arc<T>) {
        let (hash, bytes) = (self.hash(text), entry.bytes());
        let Some(bucket) = self.bucket(hash) else { return };
        if bytes > self.limits.bytes / 16 {
            return;
        }
        let _writing = bucket.writing.lock();
        if find(bucket, tag(hash), text).is_some() {
            return;
        }
        // Over the limit of bytes an entry takes the place of another one, or is not kept.
        let is_full = self.bytes.load(Ordering::Relaxed) + bytes > self.limits.bytes
            || self.entries.load(Ordering::Relaxed) >= self.buckets.len() * ENTRIES_OF_A_BUCKET;
        if let Some(place) = choose(bucket, is_full) {
            self.put(bucket, place, tag(hash), entry, bytes);
        }
    }

    fn put(&self, bucket: &Bucket<T>, place: usize, tag: u32, entry: Arc<T>, bytes: usize) {
        let (Some(slot), Some(mark), Some(used)) =
            (bucket.places.get(place), bucket.tags.get(place), bucket.used.get(place))
        else {
            return;
        };
        let freed = slot.load().as_ref().map_or(0, |old| old.bytes());
        if self.bytes.load(Ordering::Relaxed) - freed + bytes > self.limits.bytes {
            return;
        }
        match slot.swap(Some(entry)) {
            Some(old) => {
                self.bytes.fetch_sub(old.bytes(), Ordering::Relaxed);
            }
            None => {
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        used.store(true, Ordering::Relaxed);
        mark.store(tag, Ordering::Release);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let (hits, misses) = self.counts.sums();
        CacheStats { entries: self.entries.load(Ordering::Relaxed) as u64, hits, misses }
    }

    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The end of a token is its signature, which differs from token to token; its beginning does not. Equality of the
    /// whole is checked on each hit.
    fn hash(&self, text: &str) -> u64 {
        const TAIL: usize = 40;
        let bytes = text.as_bytes();
        let tail = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes);
        self.hasher.hash_one((bytes.len(), tail))
    }

    fn bucket(&self, hash: u64) -> Option<&Bucket<T>> {
        let mask = (self.buckets.len() as u64).wrapping_sub(1);
        self.buckets.get(usize::try_from(hash & mask).unwrap_or_default())
    }
}

fn tag(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

#[inline(always)]
fn find<T: Cached>(bucket: &Bucket<T>, tag: u32, text: &str) -> Option<Found<T>> {
    for place in 0..WAYS {
        if bucket.tags.get(place)?.load(Ordering::Acquire) != tag {
            continue;
        }
        let found = bucket.places.get(place)?.load();
        if found.as_ref().is_some_and(|entry| entry.is(text)) {
            let used = bucket.used.get(place)?;
            // Written only when it changes: threads that share an entry only read.
            if !used.load(Ordering::Relaxed) {
                used.store(true, Ordering::Relaxed);
            }
            return Some(found);
        }
    }
    None
}

/// Where to put a new entry: an empty place, else the first from the hand on that was not used since it passed.
fn choose<T>(bucket: &Bucket<T>, is_full: bool) -> Option<usize> {
    let is_empty = |place: &usize| bucket.tags.get(*place).is_some_and(|tag| tag.load(Ordering::Relaxed) == 0);
    if !is_full && let Some(place) = (0..WAYS).find(is_empty) {
        return Some(place);
    }
    let start = usize::from(bucket.hand.load(Ordering::Relaxed));
    for step in 0..=WAYS * 2 {
        let place = (start + step) % WAYS;
        if is_empty(&place) {
            continue;
        }
        if !bucket.used.get(place)?.swap(false, Ordering::Relaxed) {
            bucket.hand.store(u8::try_from((place + 1) % WAYS).unwrap_or_default(), Ordering::Relaxed);
            return Some(place);
        }
    }
    None
}

/// loom's threads have small stacks.
const STRIPES: usize = if cfg!(all(test, loom)) { 1 } else { 64 };

/// Not for loom: nothing else depends on it.
type Counter = std::sync::atomic::AtomicU64;

/// Counters that threads do not share, as long as there are fewer threads than stripes; else a few counts are lost.
struct Counts([Stripe; STRIPES]);

#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    hits: Counter,
    misses: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stripe::default()))
    }
}

impl Counts {
    fn count(&self, hit: bool) {
        let Some(stripe) = self.0.get(stripe()) else { return };
        let counter = if hit { &stripe.hits } else { &stripe.misses };
        // One thread writes: no read-modify-write is needed.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn sums(&self) -> (u64, u64) {
        let sum = |counter: fn(&Stripe) -> &Counter| self.0.iter().map(|it| counter(it).load(Ordering::Relaxed)).sum();
        (sum(|stripe| &stripe.hits), sum(|stripe| &stripe.misses))
    }
}

/// The number of this thread, modulo the stripes.
fn stripe() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        own.get()
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    struct Text(String, usize);

    impl Cached for Text {
        fn is(&self, text: &str) -> bool {
            self.0 == text
        }

        fn bytes(&self) -> usize {
            self.0.len() + self.1
        }
    }

    fn put(cache: &Cache<Text>, entry: Arc<Text>) {
        cache.insert(&Arc::clone(&entry).0, entry);
    }

    fn entry(text: &str, size: usize) -> Arc<Text> {
        Arc::new(Text(text.to_owned(), size))
    }

    proptest! {
        /// Against a map that forgets nothing: a hit is always the entry that was put in, and the limits hold.
        #[test]
        fn finds_only_what_was_put_in(
            steps in prop::collection::vec((any::<bool>(), 0_u32..300, 0_usize..400), 0..2000),
            entries in 1_usize..200,
            bytes in 1_000_usize..20_000,
        ) {
            let cache = Cache::new(CacheLimits { entries, bytes });
            let mut shadow: HashMap<String, Arc<Text>> = HashMap::new();
            let mut lookups = 0;
            for (insert, number, size) in steps {
                // Half of them share their tail, where the hash looks.
                let text = if number % 2 == 0 { format!("{number}.{:040}", number / 8) } else { format!("token-{number}") };
                if insert {
                    let new = shadow.entry(text.clone()).or_insert_with(|| entry(&text, size));
                    put(&cache, Arc::clone(new));
                } else {
                    lookups += 1;
                    if let Some(found) = cache.get(&text) {
                        let found = found.as_ref().unwrap();
                        prop_assert!(Arc::ptr_eq(found, &shadow[&text]));
                    }
                }
                prop_assert!(cache.held_bytes() <= bytes);
                prop_assert!(cache.stats().entries as usize <= cache.buckets.len() * WAYS);
            }
            let held: usize = cache
                .buckets
                .iter()
                .flat_map(|bucket| &bucket.places)
                .filter_map(|place| place.load().as_ref().map(|entry| entry.bytes()))
                .sum();
            prop_assert_eq!(held, cache.held_bytes());
            prop_assert_eq!(cache.stats().hits + cache.stats().misses, lookups);
        }
    }

    #[test]
    fn without_entries_it_is_none() {
        let cache = Cache::new(CacheLimits { entries: 0, bytes: 1000 });
        put(&cache, entry("a", 0));
        assert!(cache.get("a").is_none());
    }

    #[test]
    fn a_look_up_of_what_is_not_there_evicts_nothing() {
        let cache = Cache::new(CacheLimits { entries: 64, bytes: 1 << 20 });
        (0..64).for_each(|number| put(&cache, entry(&format!("good-{number}"), 0)));
        let kept =
            |cache: &Cache<Text>| (0..64).filter(|number| cache.get(&format!("good-{number}")).is_some()).count();
        let before = kept(&cache);
        assert!(before > 50, "{before}");
        for number in 0..100_000 {
            assert!(cache.get(&format!("forged-{number}")).is_none());
        }
        assert_eq!(kept(&cache), before);
    }

    #[test]
    fn threads_see_whole_entries() {
        let cache: Arc<Cache<Text>> = Arc::new(Cache::new(CacheLimits { entries: 8, bytes: 1 << 20 }));
        let workers: Vec<_> = (0..4)
            .map(|worker: usize| {
                let cache = Arc::clone(&cache);
                std::thread::spawn(move || {
                    for round in 0..20_000_usize {
                        let number = (round * 7 + worker) % 40;
                        let text = format!("{number}");
                        match cache.get(&text) {
                            Some(found) => assert_eq!(found.as_ref().unwrap().1, number),
                            None => put(&cache, entry(&text, number)),
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests {
    //! Every order in which the steps of a look-up and of two insertions can follow each other, as far as memory's order
    //! goes too: tags, marks of use, counters and the lock are loom's. A place is a mutex here instead of `arc_swap`, whose
    //! inside is not what is tested; and hits and misses are not counted, for the stripes are the threads' own.

    use loom::thread;

    use super::*;

    struct Text(String);

    impl Cached for Text {
        fn is(&self, text: &str) -> bool {
            self.0 == text
        }

        fn bytes(&self) -> usize {
            self.0.len()
        }
    }

    fn put(cache: &Cache<Text>, entry: Arc<Text>) {
        cache.insert(&Arc::clone(&entry).0, entry);
    }

    /// Texts that differ only before what the hash looks at: each has the bucket and the tag of all others.
    fn alike(number: usize) -> Arc<Text> {
        Arc::new(Text(format!("{number}{}", "-".repeat(40))))
    }

    fn one_bucket(bytes: usize) -> Arc<Cache<Text>> {
        let cache = Cache::new(CacheLimits { entries: 2, bytes });
        assert_eq!(cache.buckets.len(), 1);
        Arc::new(cache)
    }

    /// What the counters say is what is there.
    fn check(cache: &Cache<Text>) {
        let held: Vec<usize> = cache
            .buckets
            .iter()
            .flat_map(|bucket| &bucket.places)
            .filter_map(|place| place.load().as_ref().map(|entry| entry.bytes()))
            .collect();
        assert_eq!(cache.entries.load(Ordering::Relaxed), held.len());
        assert_eq!(cache.held_bytes(), held.iter().sum::<usize>());
    }

    fn explore(test: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(test);
    }

    #[test]
    fn a_look_up_never_yields_another_text() {
        explore(|| {
            let cache = one_bucket(1 << 16);
            put(&cache, alike(1));
            put(&cache, alike(2));
            // It takes the place of one of them.
            let writer = thread::spawn({
                let cache = Arc::clone(&cache);
                move || put(&cache, alike(3))
            });
            for number in [1, 3] {
                if let Some(found) = cache.get(&alike(number).0) {
                    assert_eq!(found.as_ref().map(|entry| entry.0.clone()), Some(alike(number).0.clone()));
                }
            }
            writer.join().unwrap();
            assert!(cache.get(&alike(3).0).is_some());
            check(&cache);
        });
    }

    #[test]
    fn one_text_is_kept_once() {
        explore(|| {
            let cache = one_bucket(1 << 16);
            let writer = thread::spawn({
                let cache = Arc::clone(&cache);
                move || put(&cache, alike(1))
            });
            put(&cache, alike(1));
            writer.join().unwrap();
            assert_eq!(cache.stats().entries, 1);
            check(&cache);
        });
    }

    #[test]
    fn counters_stay_right_while_entries_take_each_other_s_place() {
        explore(|| {
            // Room for two of them in bytes.
            let cache = one_bucket(16 * 41);
            put(&cache, alike(1));
            put(&cache, alike(2));
            let writer = thread::spawn({
                let cache = Arc::clone(&cache);
                move || put(&cache, alike(3))
            });
            put(&cache, alike(4));
            // Never below nothing, never above what is allowed.
            assert!(cache.held_bytes() <= 16 * 41);
            writer.join().unwrap();
            check(&cache);
        });
    }

    #[test]
    fn no_count_is_lost_between_buckets() {
        explore(|| {
            let cache: Cache<Text> = Cache::new(CacheLimits { entries: 4, bytes: 1 << 16 });
            let cache = Arc::new(cache);
            let of_bucket = |wanted: u64| {
                let mut texts = (0..).map(|number: usize| Arc::new(Text(format!("{number}"))));
                texts.find(|text| cache.hash(&text.0) & 1 == wanted).unwrap()
            };
            let (first, second) = (of_bucket(0), of_bucket(1));
            let writer = thread::spawn({
                let cache = Arc::clone(&cache);
                move || put(&cache, first)
            });
            put(&cache, second);
            writer.join().unwrap();
            assert_eq!(cache.stats().entries, 2);
            check(&cache);
        });
    }
}
