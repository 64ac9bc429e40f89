//! A verified token with what decisions about it need again and again.

use std::ops::Deref;
use std::sync::Arc;

use crate::cache::{Cached, Found};
use crate::feed::{PolicyTable, Stamp, TokenKeys, View};
use crate::secret::RawToken;
use crate::token::VerifiedToken;

/// A verified token, its text, and what is asked about it. What each decision reads comes first and is one cache line.
#[repr(C, align(64))]
pub(crate) struct KnownToken {
    pub(crate) stamp: Stamp,
    pub(crate) raw: RawToken,
    /// How it is looked up in the view.
    pub(crate) keys: TokenKeys,
    /// Where a feed is followed.
    pub(crate) view: Option<Arc<View>>,
    pub(crate) verified: VerifiedToken,
}

impl KnownToken {
    /// What its roles permit by now, where a feed tells.
    pub(crate) fn policy(&self) -> Option<Arc<PolicyTable>> {
        self.view.as_ref()?.policy(self.keys.audience())
    }
}

impl Cached for KnownToken {
    fn text(&self) -> &str {
        self.raw.expose()
    }

    /// The text twice, for the claims were read from it, and what holds both together.
    fn bytes(&self) -> usize {
        const AROUND: usize = 512;
        self.raw.expose().len() * 2 + AROUND
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
