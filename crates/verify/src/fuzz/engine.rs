//! Tries inputs until the time is over: fresh ones, and mutations of those that led somewhere new.

use std::collections::HashSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Something that reads input.
pub(super) struct Target<F> {
    /// The name of its folder.
    pub(super) name: &'static str,
    /// Makes an input that gets past the first checks, most of the time.
    pub(super) make: fn(&mut Rng) -> Vec<u8>,
    /// Texts that mean something to it.
    pub(super) words: &'static [&'static str],
    /// Reads one and says where it led. Panics if anything is not as it should be.
    pub(super) run: F,
}

/// No input is longer.
const MAX_INPUT: usize = 16 * 1024;
/// How many inputs are kept; a new one then takes the place of any other.
const MAX_CORPUS: usize = 4096;

impl<F: Fn(&[u8]) -> T, T: Debug> Target<F> {
    /// Runs for as long as the environment says.
    pub(super) fn fuzz(&self) {
        let seed = number("PROPUSK_FUZZ_SEED").unwrap_or_else(random);
        let time = Duration::from_secs(number("PROPUSK_FUZZ_SECONDS").unwrap_or(2));
        let mut rng = Rng(seed);
        let mut seen: HashSet<String> = HashSet::new();
        let mut corpus = known_inputs(self.name);
        seen.extend(corpus.iter().map(|input| self.try_one(input)));
        let (began, mut runs) = (Instant::now(), 0_u64);
        while runs < 200 || began.elapsed() < time {
            let input = if corpus.is_empty() || rng.one_in(4) {
                (self.make)(&mut rng)
            } else {
                mutated(&corpus, self.words, &mut rng)
            };
            runs += 1;
            if seen.insert(self.try_one(&input)) {
                let place = rng.below(MAX_CORPUS);
                match corpus.get_mut(place).filter(|_| seen.len() > MAX_CORPUS) {
                    Some(old) => *old = input,
                    None => corpus.push(input),
                }
            }
        }
        println!("{}: {runs} inputs in {:?} led to {} places; seed {seed}", self.name, began.elapsed(), seen.len());
        // A target that always leads to the same place tests nothing.
        assert!(seen.len() > 3, "{}: {seen:?}", self.name);
    }

    fn try_one(&self, input: &[u8]) -> String {
        match catch_unwind(AssertUnwindSafe(|| (self.run)(input))) {
            Ok(place) => format!("{place:?}"),
            Err(panic) => {
                println!("{}: this input fails: {}", self.name, keep(self.name, input).display());
                resume_unwind(panic)
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn random() -> u64 {
    let mut bits = [0; 8];
    aws_lc_rs::rand::fill(&mut bits).unwrap();
    u64::from_ne_bytes(bits)
}

/// The inputs that failed once, or are worth keeping for another reason.
fn known_inputs(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name);
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or(target, PathBuf::from).join("fuzz").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input);
    let file = folder.join(digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>());
    std::fs::write(&file, input).unwrap();
    file
}

/// One of the corpus with some changes.
fn mutated(corpus: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.pick(corpus).clone();
    for _ in 0..=rng.below(4) {
        mutate(&mut input, corpus, words, rng);
    }
    input.truncate(MAX_INPUT);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], rng: &mut Rng) {
    const EDGES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'}', b'.', b'=', b' '];
    let at = rng.below(input.len() + 1);
    let end = (at + 1 + rng.below(16)).min(input.len());
    match rng.below(9) {
        0 if at < input.len() => input[at] ^= 1 << rng.below(8),
        1 if at < input.len() => input[at] = *rng.pick(&EDGES),
        2 if at < input.len() => input[at] = rng.byte(),
        3 => drop(input.drain(at..end)),
        // The same once more.
        4 => drop(input.splice(at..at, input[at..end].to_vec())),
        5 => input.insert(at, *rng.pick(&EDGES)),
        6 if !words.is_empty() => drop(input.splice(at..at, rng.pick(words).bytes())),
        // The beginning of this one and the end of another one.
        7 => {
            let other = rng.pick(corpus);
            let from = rng.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        8 => input.truncate(at),
        _ => input.insert(at, rng.byte()),
    }
}

/// Numbers that one seed repeats: SplitMix64.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A number near an edge, or a small one.
    pub(super) fn number(&mut self) -> u64 {
        const EDGES: [u64; 9] =
            [0, 1, 0x7f, 0xffff, u32::MAX as u64 - 1, u32::MAX as u64, 1 << 32, i64::MAX as u64, u64::MAX];
        if self.one_in(8) { *self.pick(&EDGES) } else { self.next() % 24 }
    }
}
