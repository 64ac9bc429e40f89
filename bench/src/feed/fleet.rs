//! Many verifiers in this process. Each is a real one: a connection of its own, a view of its own.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::{join_all, try_join_all};
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::feed::{Feed, View};

use crate::child::authority::{Authority, SERVICES};

/// So many connect at once; a thousand processes never start in the same millisecond.
const AT_ONCE: usize = 50;
/// A verifier that is not ready by then is broken.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Verifiers that follow one authority.
pub(crate) struct Fleet(Vec<Feed>);

impl Fleet {
    /// So many verifiers, of each service in turn, all of them ready.
    pub(crate) async fn start(authority: &Authority, count: usize) -> Result<Self> {
        let mut feeds = Vec::with_capacity(count);
        let services: Vec<&str> = SERVICES.into_iter().cycle().take(count).collect();
        for services in services.chunks(AT_ONCE) {
            let started: Vec<Feed> =
                services.iter().map(|service| start_one(authority, service)).collect::<Result<_>>()?;
            try_join_all(started.iter().map(ready)).await?;
            feeds.extend(started);
        }
        Ok(Self(feeds))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        self.0.iter().map(|feed| &**feed.view())
    }

    /// How long the first lease to end still runs; zero if one has ended.
    pub(crate) fn least_lease_left(&self) -> Duration {
        let now = SystemClock.moment();
        self.views().map(|view| view.lease_end().since(now)).min().unwrap_or_default()
    }

    /// Ends them as a graceful stop does, so that nobody waits for them.
    pub(crate) async fn release(self) {
        join_all(self.0.iter().map(Feed::release)).await;
    }
}

/// A verifier of one service.
pub(crate) fn start_one(authority: &Authority, service: &str) -> Result<Feed> {
    Ok(Feed::start(authority.feed_client(service)?, [service]))
}

pub(crate) async fn ready(feed: &Feed) -> Result<()> {
    tokio::time::timeout(START_LIMIT, feed.ready()).await.context("a verifier did not get ready")
}
