//! A verified token with what decisions about it need again and again.

use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroize as _;

use crate::cache::{Cached, Found};
use crate::feed::{PolicyTable, Stamp, TokenKeys, View};
use crate::secret::RawToken;
use crate::token::VerifiedToken;

/// A verified token, its text, and what is asked about it. What each decision reads comes first, in one cache line and with
/// the text right behind it: a jump through memory costs as much as the rest of a decision.
#[repr(C, align(64))]
pub(crate) struct KnownToken {
    pub(crate) stamp: Stamp,
    /// How it is looked up in the view.
    pub(crate) keys: TokenKeys,
    /// Bytes of the text.
    len: usize,
    rest: Box<Rest>,
    /// The text, but for what is longer than most are. Wiped when dropped.
    head: [u8; HEAD],
}

/// What of a text has its place in the entry.
const HEAD: usize = 704;

struct Rest {
    /// What of the text is beyond its place.
    tail: Box<[u8]>,
    /// Where a feed is followed.
    view: Option<Arc<View>>,
    verified: VerifiedToken,
}

impl KnownToken {
    pub(crate) fn new(raw: &str, verified: VerifiedToken, keys: TokenKeys, view: Option<Arc<View>>) -> Arc<Self> {
        let (start, tail) = raw.as_bytes().split_at_checked(HEAD).unwrap_or((raw.as_bytes(), &[]));
        let rest = Box::new(Rest { tail: tail.into(), view, verified });
        let mut known = Arc::new(Self { stamp: Stamp::default(), keys, len: raw.len(), rest, head: [0; HEAD] });
        // The text is copied once, to where it stays.
        if let Some(place) = Arc::get_mut(&mut known).and_then(|known| known.head.get_mut(..start.len())) {
            place.copy_from_slice(start);
        }
        known
    }

    pub(crate) fn verified(&self) -> &VerifiedToken {
        &self.rest.verified
    }

    pub(crate) fn view(&self) -> Option<&Arc<View>> {
        self.rest.view.as_ref()
    }

    /// What its roles permit by now, where a feed tells.
    pub(crate) fn policy(&self) -> Option<Arc<PolicyTable>> {
        self.view()?.policy(self.keys.audience())
    }

    /// Its text.
    pub(crate) fn raw(&self) -> RawToken {
        let bytes = [self.head(), &self.rest.tail].concat();
        // Tokens are ASCII.
        RawToken::new(String::from_utf8(bytes).unwrap_or_default())
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.len).unwrap_or(&self.head)
    }
}

impl Cached for KnownToken {
    #[inline(always)]
    fn is(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if self.len != text.len() {
            return false;
        }
        match text.split_at_checked(HEAD) {
            None => self.head() == text,
            Some((head, tail)) => self.head() == head && *self.rest.tail == *tail,
        }
    }

    /// Its text, the claims that were read from it, and what holds both together.
    fn bytes(&self) -> usize {
        const AROUND: usize = 512;
        size_of::<Self>() + AROUND + self.rest.tail.len() + self.len
    }
}

impl Drop for KnownToken {
    fn drop(&mut self) {
        let written = self.len.min(HEAD);
        if let Some(written) = self.head.get_mut(..written) {
            written.zeroize();
        }
        self.rest.tail.zeroize();
    }
}

/// A known token, either just verified or found in the cache. The latter is borrowed without a write that threads share.
pub(crate) enum Held {
    Own(Arc<KnownToken>),
    Found(Found<KnownToken>),
}

impl Deref for Held {
    type Target = KnownToken;

    #[expect(clippy::expect_used, reason = "only a place that holds an entry is handed out by the cache")]
    fn deref(&self) -> &KnownToken {
        match self {
            Self::Own(known) => known,
            Self::Found(found) => found.as_ref().expect("a found entry is there"),
        }
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        match self {
            Self::Own(known) => Self::Own(Arc::clone(known)),
            Self::Found(found) => match found.as_ref() {
                Some(known) => Self::Own(Arc::clone(known)),
                None => Self::Found(Found::from_inner(None)),
            },
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::token::verified;

    #[test]
    fn a_text_is_itself_and_nothing_else() {
        for length in [1, 2, HEAD - 1, HEAD, HEAD + 1, 2 * HEAD] {
            let text: String = (0..length).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
            let kept = KnownToken::new(&text, verified(), TokenKeys::without_view(0), None);
            assert!(kept.is(&text));
            assert_eq!(kept.raw().expose(), text);
            assert!(!kept.is(&text[1..]) && !kept.is(&format!("{text}a")) && !kept.is(""));
            for at in [0, length / 2, length - 1] {
                let mut other = text.clone().into_bytes();
                other[at] = b'-';
                assert!(!kept.is(&String::from_utf8(other).unwrap()), "{at} of {length}");
            }
        }
    }

    /// What a hit reads of an entry beside its text.
    #[test]
    fn what_is_read_at_each_decision_is_one_cache_line() {
        assert!(std::mem::offset_of!(KnownToken, head) <= 64);
    }
}
