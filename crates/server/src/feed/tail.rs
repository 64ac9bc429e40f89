//! The newest events, in memory, so that any number of connections cost one read of the store.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use parking_lot::RwLock;
use propusk_core::keys;
use propusk_core::log::Change;
use propusk_core::store::{LogRow, StoreError, Tx};
use tokio::sync::watch;

use super::proto;
use crate::app::App;

/// Who is further behind than this gets a snapshot.
const KEPT: usize = 16 * 1024;
/// Events of one read.
const AT_A_TIME: usize = 1024;

/// An event as it goes out, and whom it concerns.
pub(super) struct TailEvent {
    pub(super) seq: u64,
    /// Keys and policies concern their own audience only.
    audience: Option<String>,
    message: proto::Event,
}

impl TailEvent {
    /// Whether a subscriber of these audiences gets it.
    pub(super) fn concerns(&self, audiences: &[String]) -> bool {
        self.audience.as_ref().is_none_or(|audience| audiences.contains(audience))
    }

    pub(super) fn message(&self) -> proto::Event {
        self.message.clone()
    }

    /// Whether it ends everything of this client.
    pub(super) fn ends(&self, client: &str) -> bool {
        matches!(&self.message.change, Some(proto::event::Change::SubjectEnded(subject)) if subject == client)
    }
}

/// Events in order, without gaps.
pub(super) struct Tail {
    inner: RwLock<Inner>,
    /// The last event's `seq`.
    end: watch::Sender<u64>,
}

struct Inner {
    events: VecDeque<Arc<TailEvent>>,
    /// Everything up to here is older than what is kept.
    before: u64,
}

impl Tail {
    pub(super) fn starting_after(head: u64) -> Self {
        Self { inner: RwLock::new(Inner { events: VecDeque::new(), before: head }), end: watch::Sender::new(head) }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    pub(super) fn end(&self) -> u64 {
        *self.end.borrow()
    }

    /// At most `limit` events after `seq`; `None` if some of them are not kept any more.
    pub(super) fn after(&self, seq: u64, limit: usize) -> Option<Vec<Arc<TailEvent>>> {
        let inner = self.inner.read();
        if seq < inner.before {
            return None;
        }
        let skip = inner.events.partition_point(|event| event.seq <= seq);
        Some(inner.events.iter().skip(skip).take(limit).cloned().collect())
    }

    fn push(&self, events: Vec<TailEvent>) {
        let Some(end) = events.last().map(|event| event.seq) else { return };
        let mut inner = self.inner.write();
        inner.events.extend(events.into_iter().map(Arc::new));
        while inner.events.len() > KEPT {
            if let Some(event) = inner.events.pop_front() {
                inner.before = event.seq;
            }
        }
        drop(inner);
        self.end.send_replace(end);
    }
}

/// Brings committed events into the tail until `shutdown`.
pub(crate) async fn run(app: Arc<App>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut head = app.feed.head_changes();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            changed = head.changed() => if changed.is_err() { return },
        }
        while app.feed.tail.end() < *head.borrow() {
            match read_on(&app).await {
                Ok(events) => app.feed.tail.push(events),
                Err(error) => {
                    tracing::error!(%error, "new events cannot be read");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn read_on(app: &App) -> Result<Vec<TailEvent>, StoreError> {
    let from = app.feed.tail.end();
    app.read(move |tx, _| tx.events_after(from, AT_A_TIME)?.iter().map(|row| tail_event(tx, row)).collect()).await
}

/// A row of the log as it goes out. Rings and tables are read in the same snapshot: they are at least as new as the row.
pub(super) fn tail_event(tx: &dyn Tx, row: &LogRow) -> Result<TailEvent, StoreError> {
    use proto::event::Change as Sent;
    let parsed = Change::parse(&row.kind, &row.key).ok_or_else(|| {
        StoreError::failed(format!("the log has an event of an unknown kind: {} {}", row.seq, row.kind))
    })?;
    let (audience, change) = match parsed {
        Change::TokenRevoked(jti) => (None, Sent::TokenRevoked(jti.to_string())),
        Change::SessionRevoked(sid) => (None, Sent::SessionRevoked(sid.to_string())),
        Change::SubjectChanged(subject) => (None, Sent::SubjectChanged(subject.to_string())),
        Change::SubjectEnded(subject) => (None, Sent::SubjectEnded(subject.to_string())),
        Change::AllChanged(_) => (None, Sent::AllChanged(row.key.clone())),
        Change::KeyRevoked(kid) => (None, Sent::KeyRevoked(kid.to_string())),
        Change::KeysChanged(aud) => {
            let jwks = keys::jwks_for_verifiers(tx, &aud)?.into();
            (Some(aud.to_string()), Sent::KeysChanged(proto::KeysChanged { aud: aud.to_string(), jwks }))
        }
        Change::PolicyChanged(aud) => {
            let roles = policy(tx, &aud)?;
            (Some(aud.to_string()), Sent::PolicyChanged(proto::PolicyChanged { aud: aud.to_string(), roles }))
        }
    };
    let message = proto::Event { seq: row.seq, until: row.until, change: Some(change) };
    Ok(TailEvent { seq: row.seq, audience, message })
}

/// What each role of an audience permits.
pub(super) fn policy(
    tx: &dyn Tx,
    audience: &propusk_core::id::ServiceId,
) -> Result<Vec<proto::RolePolicy>, StoreError> {
    let table = propusk_core::roles::policy_table(tx, audience)?;
    Ok(table
        .into_iter()
        .map(|(role, permissions)| proto::RolePolicy {
            role: role.to_string(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
        })
        .collect())
}
