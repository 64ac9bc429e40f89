//! Basic at the edge: username and password become a session that lives as long as one access token.
//!
//! What is kept in memory is a keyed hash of the pair, never the pair; the key is drawn when the process starts. Wrong
//! pairs are not remembered, but whoever asks with the same pair at the same time shares one question.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::authority::{Asker, Authority, AuthorityError};
use crate::credential::Basic;
use crate::ended::EndedSessions;
use crate::random;
use crate::secret::Secret;
use crate::session::{Session, Slot, now_ms};

type Key = [u8; 32];
type Outcome = Result<Arc<Entry>, AuthorityError>;

/// A session behind a Basic pair. When the last request that uses it is over and it is kept no longer, it ends at the
/// authority too.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) slot: Arc<Slot>,
    use_until_ms: u64,
    ended: EndedSessions,
}

impl Entry {
    fn is_usable(&self) -> bool {
        now_ms() < self.use_until_ms && self.slot.current().is_some()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(session) = self.slot.current() {
            self.ended.end(session.refresh.clone());
        }
    }
}

/// Sessions behind Basic pairs, bounded.
pub(crate) struct BasicSessions {
    key: hmac::Key,
    entries: Cache<Key, Arc<Entry>>,
    /// One question at a time for a pair; not more of them than there are connections.
    asking: Mutex<HashMap<Key, watch::Receiver<Option<Outcome>>>>,
    ended: EndedSessions,
}

impl BasicSessions {
    pub(crate) fn new(capacity: usize, ended: EndedSessions) -> Result<Self, random::NoRandomness> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?);
        Ok(Self { key, entries: Cache::new(capacity), asking: Mutex::default(), ended })
    }

    /// The session for a pair: kept, or asked for with `audience` as the first one wanted.
    pub(crate) async fn session(
        self: &Arc<Self>,
        authority: &Arc<Authority>,
        basic: &Basic,
        audience: &str,
        asker: &Asker,
    ) -> Outcome {
        let key = self.hash(basic);
        if let Some(entry) = self.kept(&key) {
            return Ok(entry);
        }
        let mut outcome = {
            let mut asking = self.asking.lock();
            if let Some(receiver) = asking.get(&key) {
                receiver.clone()
            } else if let Some(entry) = self.kept(&key) {
                // The one who asked was done between the two looks.
                return Ok(entry);
            } else {
                let (sender, receiver) = watch::channel(None);
                asking.insert(key, receiver.clone());
                self.ask(sender, key, authority.clone(), basic, audience.to_owned(), asker.clone());
                receiver
            }
        };
        let answered = outcome.wait_for(Option::is_some).await;
        let answered = answered.ok().and_then(|outcome| outcome.clone());
        answered.unwrap_or(Err(AuthorityError::Unavailable { retry_after_s: None }))
    }

    /// In a task of its own: the client may go away, those who wait with it may not.
    fn ask(
        self: &Arc<Self>,
        sender: watch::Sender<Option<Outcome>>,
        key: Key,
        authority: Arc<Authority>,
        basic: &Basic,
        audience: String,
        asker: Asker,
    ) {
        let this = self.clone();
        let (username, password) = (basic.username.clone(), basic.password.clone());
        tokio::spawn(async move {
            let _asking = Asking { sessions: this.clone(), key };
            let outcome = this.grant(&authority, username, &password, &audience, &asker).await;
            if let Ok(entry) = &outcome {
                this.entries.insert(key, entry.clone());
            }
            let _ = sender.send(Some(outcome));
        });
    }

    async fn grant(
        &self,
        authority: &Authority,
        username: String,
        password: &Secret,
        audience: &str,
        asker: &Asker,
    ) -> Outcome {
        let nothing = AuthorityError::Unavailable { retry_after_s: None };
        let id = random::id().map_err(|_| nothing.clone())?;
        let asked_at_ms = now_ms();
        let tokens = authority.password(&username, password, audience, asker).await?;
        // Nobody is told who this is: the services read it off the token.
        let person = (String::new(), username);
        let expires_at = tokens.refresh_expires_in.map_or(u64::MAX, |left| (asked_at_ms / 1000).saturating_add(left));
        let session = Session::begin(id, person, expires_at, audience, &tokens, asked_at_ms).ok_or(nothing)?;
        let use_until_ms = session.tokens.first().map_or(0, |token| token.use_until_ms);
        Ok(Arc::new(Entry { slot: Slot::new(session), use_until_ms, ended: self.ended.clone() }))
    }

    fn kept(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        if entry.is_usable() {
            return Some(entry);
        }
        self.entries.remove_if(key, |kept| Arc::ptr_eq(kept, &entry));
        None
    }

    /// Drops what has ended.
    pub(crate) fn sweep(&self) {
        self.entries.retain(|_, entry| entry.is_usable());
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    fn hash(&self, basic: &Basic) -> Key {
        // Neither contains a zero byte, so the pair is one text in one way only.
        let mut context = hmac::Context::with_key(&self.key);
        context.update(basic.username.as_bytes());
        context.update(&[0]);
        context.update(basic.password.expose().as_bytes());
        let mut key = [0; 32];
        key.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        key
    }
}

/// Takes the question off the list however it ends.
struct Asking {
    sessions: Arc<BasicSessions>,
    key: Key,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.sessions.asking.lock().remove(&self.key);
    }
}
