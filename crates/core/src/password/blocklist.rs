//! Passwords that everybody tries first (NIST SP 800-63B-4 section 3.1.1.2).
//!
//! A new password is compared as a whole, whatever its case, with the 30,000 most common ones, with an operator's own
//! list, and with names that are expected of its owner. What only repeats one of them, joins two of the most common, or
//! counts up or down, is expected just as much: it is how people make a short word as long as the rules want it.
//!
//! The common ones are built in as hashes, 240 kB that are read from the binary where they are needed and never
//! unpacked: they cost no memory of their own. They are those of the crate `zxcvbn` (MIT); `cargo xtask passwords`
//! writes the file anew.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use unicode_normalization::UnicodeNormalization as _;

/// The hashes, eight bytes each: first those of the [`MOST_COMMON`] most common words, then the others, both sorted.
static COMMON: &[u8] = include_bytes!("common.bin");
/// How many words of the list are so common that two of them together are expected, too.
pub const MOST_COMMON: usize = 1000;
/// Of one word.
const HASH_BYTES: usize = size_of::<u64>();

/// What a new password must not be, beside the common ones: an operator's own list, kept as hashes.
#[derive(Clone, Default)]
pub struct Blocklist(Arc<[u64]>);

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocklist").field(&self.0.len()).finish()
    }
}

impl Blocklist {
    /// Of words that somebody listed, in any order; white space around them does not count.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let words = words.into_iter().map(str::trim).filter(|word| !word.is_empty());
        Self::of_hashes(words.map(hash_of_word).collect())
    }

    /// Of words that were hashed by [`hash_of_word`] while they were read.
    pub fn of_hashes(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes.into())
    }

    /// How many words are listed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `password` is one that an attacker tries first for somebody of these `names`.
    pub(super) fn expects(&self, password: &str, names: &[&str]) -> bool {
        let text: Vec<char> = folded(password).chars().collect();
        let mut names: Vec<u64> = names.iter().copied().filter(|name| !name.is_empty()).map(hash_of_word).collect();
        names.sort_unstable();
        let is_listed = |word: &[char]| {
            let hash = hash(&word.iter().collect::<String>());
            is_common(hash) || self.0.binary_search(&hash).is_ok() || names.binary_search(&hash).is_ok()
        };
        is_listed(&text) || is_run(&text) || is_repeated(&text, &is_listed) || is_pair(&text, &names)
    }
}

/// The hash of a word in whatever case and form.
pub fn hash_of_word(word: &str) -> u64 {
    hash(&folded(word))
}

fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// A part of SHA-256: a password that is on no list is taken for a listed one once in 10¹⁴ times.
fn hash(folded: &str) -> u64 {
    let digest = digest::digest(&digest::SHA256, folded.as_bytes());
    digest.as_ref().first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default()
}

fn is_common(hash: u64) -> bool {
    let (most, others) = COMMON.split_at_checked(MOST_COMMON * HASH_BYTES).unwrap_or_default();
    is_in(most, hash) || is_in(others, hash)
}

fn is_most_common(hash: u64) -> bool {
    COMMON.get(..MOST_COMMON * HASH_BYTES).is_some_and(|most| is_in(most, hash))
}

fn is_in(sorted: &[u8], hash: u64) -> bool {
    let (hashes, _) = sorted.as_chunks::<HASH_BYTES>();
    hashes.binary_search_by_key(&hash, |bytes| u64::from_be_bytes(*bytes)).is_ok()
}

/// One character again and again, or the alphabet or digits in order.
fn is_run(text: &[char]) -> bool {
    let step = |pair: &[char]| match pair {
        [a, b] => i64::from(u32::from(*b)) - i64::from(u32::from(*a)),
        _ => i64::MAX,
    };
    let mut steps = text.windows(2).map(step);
    let first = steps.next();
    first.is_some_and(|first| (-1..=1).contains(&first) && steps.all(|step| step == first))
}

/// A listed word again and again; the last time it may be cut.
fn is_repeated(text: &[char], is_listed: &impl Fn(&[char]) -> bool) -> bool {
    (2..=text.len() / 2 + 1).any(|period| {
        let repeats = period < text.len() && text.iter().zip(text.iter().skip(period)).all(|(a, b)| a == b);
        repeats && text.get(..period).is_some_and(is_listed)
    })
}

/// Two words, each most common or a name.
fn is_pair(text: &[char], names: &[u64]) -> bool {
    let is_known = |word: &[char]| {
        let hash = hash(&word.iter().collect::<String>());
        is_most_common(hash) || names.binary_search(&hash).is_ok()
    };
    (1..text.len()).any(|middle| {
        let (first, second) = text.split_at(middle);
        is_known(first) && is_known(second)
    })
}

/// The built-in list, as its file holds it: of words from the most common on.
pub fn to_bytes(words: &[&str]) -> Vec<u8> {
    let (most, others) = words.split_at(MOST_COMMON.min(words.len()));
    let sorted = |words: &[&str]| {
        let mut hashes: Vec<u64> = words.iter().map(|word| hash_of_word(word)).collect();
        hashes.sort_unstable();
        hashes
    };
    [sorted(most), sorted(others)].concat().into_iter().flat_map(u64::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expects(password: &str, names: &[&str]) -> bool {
        Blocklist::default().expects(password, names)
    }

    #[test]
    fn the_built_in_list_is_whole() {
        let words = COMMON.len() / HASH_BYTES;
        assert_eq!(COMMON.len() % HASH_BYTES, 0);
        assert!((25_000..100_000).contains(&words), "{words}");
        for (part, name) in
            [(&COMMON[..MOST_COMMON * HASH_BYTES], "most"), (&COMMON[MOST_COMMON * HASH_BYTES..], "others")]
        {
            let hashes: Vec<u64> = part.as_chunks::<HASH_BYTES>().0.iter().map(|it| u64::from_be_bytes(*it)).collect();
            assert!(hashes.is_sorted(), "{name}");
        }
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for common in
            ["password", "PassWord", "ｐａｓｓｗｏｒｄ", "qwertyuiop12345", "iseedeadpeople", "1qaz2wsx3edc4rfv"]
        {
            assert!(expects(common, &[]), "{common}");
        }
        for made_longer in [
            "passwordpassword",
            "passwordpasswor",
            "123456789012345",
            "aaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "zyxwvutsrqponmlkj",
            "Password12345678",
            "qwertyuiopasdfghjkl",
            "footballbaseball",
            "жжжжжжжжжжжжжжж",
        ] {
            assert!(expects(made_longer, &[]), "{made_longer}");
        }
    }

    #[test]
    fn the_names_of_somebody_are_expected() {
        for password in ["alicealicealice", "ALICE-in-chains", "alicepassword", "propuskpropusk"] {
            assert!(expects(password, &["alice", "propusk", "Alice-In-Chains"]), "{password}");
            assert!(!expects(password, &[]) || password.contains("password"), "{password}");
        }
        assert!(!expects("seven violet staplers", &["", "violet"]), "only the whole counts");
    }

    #[test]
    fn what_is_on_no_list_is_nobody_s_business() {
        for good in [
            "correct horse battery staple",
            "seven violet staplers 4417",
            "the password of my neighbour",
            "passwordpasswordx9",
            "abcabdabeabfabg",
            "nhfdvfnjkjujdjhbnm",
        ] {
            assert!(!expects(good, &["alice"]), "{good}");
        }
    }

    #[test]
    fn an_operator_s_list_counts_in_whatever_case() {
        let own = Blocklist::of(["Our Company 2026", "", "  acme-welcome-aboard \r", "Our Company 2026"]);
        assert_eq!(own.len(), 2);
        assert!(own.expects("our company 2026", &[]) && own.expects("ACME-welcome-aboard", &[]));
        assert!(own.expects("acme-welcome-aboardacme-welcome-aboard", &[]));
        assert!(!own.expects("our company 2027", &[]));
        assert_eq!(format!("{own:?}"), "Blocklist(2)");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,80}", name in "\\PC{0,20}") {
            let _ = expects(&text, &[&name]);
        }

        #[test]
        fn a_listed_word_is_found_however_often(word in "[a-zß-ž]{2,12}", times in 1_usize..6, cut in 0_usize..3) {
            let own = Blocklist::of([word.as_str()]);
            let mut text: Vec<char> = word.repeat(times + 1).to_uppercase().chars().collect();
            text.truncate(text.len() - cut);
            let text: String = text.into_iter().collect();
            // Upper and lower case are not always one to one (ß, İ): what was cut counts in lower case.
            let characters = |text: &str| folded(text).chars().count();
            let is_cut_little = characters(&text) + 2 >= characters(&word) * (times + 1);
            if folded(&text).starts_with(&folded(&word)) && is_cut_little {
                prop_assert!(own.expects(&text, &[]), "{}", text);
            }
        }
    }
}
