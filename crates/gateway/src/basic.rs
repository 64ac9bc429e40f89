//! Basic at the edge: username and password become a session that lives as long as one access token.
//!
//! What is kept in memory is a keyed hash of the pair, never the pair; the key is drawn when the process starts. Wrong
//! pairs are not remembered, but whoever asks with the same pair at the same time shares one question.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use tokio::sync::{mpsc, watch};

use crate::authority::{Asker, Authority, AuthorityError};
use crate::credential::Basic;
use crate::random;
use crate::secret::Secret;
use crate::session::{Session, Slot, now_ms};

type Key = [u8; 32];
type Outcome = Result<Arc<Entry>, AuthorityError>;

/// A session behind a Basic pair.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) slot: Arc<Slot>,
    use_until_ms: u64,
}

/// Sessions behind Basic pairs, bounded.
pub(crate) struct BasicSessions {
    key: hmac::Key,
    entries: Cache<Key, Arc<Entry>, UnitWeighter, DefaultHashBuilder, EndSession>,
    /// One question at a time for a pair; not more of them than there are connections.
    asking: Mutex<HashMap<Key, watch::Receiver<Option<Outcome>>>>,
    ended: EndSession,
}

/// Refresh tokens of sessions that nobody will use again; a task of the gateway revokes them.
pub(crate) type EndedSessions = mpsc::Receiver<Secret>;

/// More than this at once and the rest is left to the authority's idle limit.
const MAX_ENDED: usize = 4096;

impl BasicSessions {
    pub(crate) fn new(capacity: usize) -> Result<(Self, EndedSessions), random::NoRandomness> {
        let (sender, receiver) = mpsc::channel(MAX_ENDED);
        let ended = EndSession { sender };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?);
        let entries = Cache::with(
            capacity,
            capacity as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            ended.clone(),
        );
        Ok((Self { key, entries, asking: Mutex::default(), ended }, receiver))
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
            let asked_at_ms = now_ms();
            let granted = authority.password(&username, &password, &audience, &asker).await;
            let outcome = granted.and_then(|tokens| {
                let id = random::id().map_err(|_| AuthorityError::Unavailable { retry_after_s: None })?;
                // Nobody is told who this is: the services read it off the token.
                let person = (String::new(), username);
                let session = Session::begin(id, person, u64::MAX, &audience, &tokens, asked_at_ms)
                    .ok_or(AuthorityError::Unavailable { retry_after_s: None })?;
                let use_until_ms = session.tokens.first().map_or(0, |token| token.use_until_ms);
                Ok(Arc::new(Entry { slot: Slot::new(session), use_until_ms }))
            });
            if let Ok(entry) = &outcome {
                this.entries.insert(key, entry.clone());
            }
            let _ = sender.send(Some(outcome));
        });
    }

    fn kept(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        if now_ms() < entry.use_until_ms && entry.slot.current().is_some() {
            return Some(entry);
        }
        if self.entries.remove_if(key, |kept| Arc::ptr_eq(kept, &entry)).is_some() {
            self.ended.end(&entry);
        }
        None
    }

    /// Forgets a session that was refused, so that the next request asks anew.
    pub(crate) fn forget(&self, entry: &Entry) {
        entry.slot.end();
    }

    /// Drops what has ended.
    pub(crate) fn sweep(&self) {
        let now_ms = now_ms();
        self.entries.retain(|_, entry| {
            let is_kept = now_ms < entry.use_until_ms && entry.slot.current().is_some();
            if !is_kept {
                self.ended.end(entry);
            }
            is_kept
        });
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

/// Hands the refresh token of an evicted session over to be revoked.
#[derive(Debug, Clone)]
pub(crate) struct EndSession {
    sender: mpsc::Sender<Secret>,
}

impl EndSession {
    fn end(&self, entry: &Entry) {
        if let Some(session) = entry.slot.current() {
            self.end_token(session.refresh.clone());
        }
    }

    /// For sessions that are replaced.
    pub(crate) fn end_token(&self, refresh: Secret) {
        if self.sender.try_send(refresh).is_err() {
            tracing::debug!("a session is left to its idle limit");
        }
    }
}

impl Lifecycle<Key, Arc<Entry>> for EndSession {
    type RequestState = ();

    fn begin_request(&self) -> Self::RequestState {
        <DefaultLifecycle<Key, Arc<Entry>> as Lifecycle<Key, Arc<Entry>>>::begin_request(&DefaultLifecycle::default());
    }

    fn on_evict(&self, _: &mut (), _: Key, entry: Arc<Entry>) {
        self.end(&entry);
    }
}

impl BasicSessions {
    /// Where refresh tokens go that nobody will use again.
    pub(crate) fn ended(&self) -> &EndSession {
        &self.ended
    }
}
