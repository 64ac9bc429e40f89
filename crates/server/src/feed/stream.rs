//! One verifier's connection: batches and grants out, acknowledgements and renewals in.
//!
//! It holds a position and no queue: a slow reader makes its own position fall behind, and gets a snapshot when that is
//! not in the tail any more. Nobody else waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use propusk_core::feed::Follower;
use propusk_core::id::ServiceId;
use propusk_verify::feed::Instance;
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

use super::proto::{self, FollowReply, FollowRequest, follow_reply, follow_request};
use super::snapshot::Snapshot;
use super::tail::TailEvent;
use crate::app::App;

/// Messages that may wait for the network.
pub(super) const MOST_OUTGOING: usize = 4;
/// Events of one batch.
const EVENTS_OF_A_BATCH: usize = 512;
/// Grants that may wait; older ones are of no use.
const MOST_GRANTS: usize = 8;

pub(super) type Reply = Result<FollowReply, Status>;

/// A connection that has subscribed.
pub(super) struct Connection {
    app: Arc<App>,
    client: String,
    instance: Instance,
    audiences: Vec<ServiceId>,
    audience_names: Vec<String>,
    /// Everything up to here is sent.
    sent: u64,
    /// Whether the next batch has to be a snapshot.
    needs_snapshot: bool,
    /// The rest of one.
    snapshot: Option<Snapshot>,
    grants: VecDeque<proto::Grant>,
    outgoing: mpsc::Sender<Reply>,
    tail: watch::Receiver<u64>,
}

/// Ends the connection in the registry when it is dropped, however that happens.
struct Registered {
    app: Arc<App>,
    instance: Instance,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.app.feed.disconnected(self.instance);
    }
}

impl Connection {
    /// Notes a subscriber. `client` has authenticated and may follow the audiences.
    pub(super) fn subscribe(
        app: Arc<App>,
        client: String,
        address: String,
        subscribe: &proto::Subscribe,
        audiences: Vec<ServiceId>,
        outgoing: mpsc::Sender<Reply>,
    ) -> Result<Self, Status> {
        let instance = <[u8; 16]>::try_from(subscribe.instance.as_ref())
            .map(Instance)
            .map_err(|_| Status::invalid_argument("instance is 16 bytes"))?;
        let head = app.feed.head();
        if subscribe.applied > head {
            tracing::error!(
                client,
                applied = subscribe.applied,
                head,
                "a verifier is ahead of the log: commits were lost"
            );
            return Err(Status::failed_precondition("applied is ahead of the log: start afresh"));
        }
        let version = subscribe.version.chars().filter(|c| !c.is_control()).take(64).collect();
        let who = Follower { service: client.clone(), address, version };
        app.feed
            .connected(instance, who, subscribe.applied)
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        let tail = app.feed.tail.changes();
        Ok(Self {
            client,
            instance,
            audience_names: audiences.iter().map(ToString::to_string).collect(),
            audiences,
            sent: subscribe.applied,
            needs_snapshot: subscribe.applied == 0,
            snapshot: None,
            grants: VecDeque::new(),
            outgoing,
            tail,
            app,
        })
    }

    /// Runs until either side ends it.
    pub(super) async fn run(mut self, mut incoming: Streaming<FollowRequest>) {
        let _registered = Registered { app: Arc::clone(&self.app), instance: self.instance };
        let outgoing = self.outgoing.clone();
        loop {
            let has_work = self.has_work();
            let outcome = tokio::select! {
                permit = outgoing.reserve(), if has_work => match permit {
                    Ok(permit) => match self.next().await {
                        Ok(Some(message)) => {
                            permit.send(Ok(FollowReply { message: Some(message) }));
                            Ok(true)
                        }
                        Ok(None) => Ok(true),
                        Err(status) => Err(status),
                    },
                    Err(_) => Ok(false),
                },
                request = incoming.message() => match request {
                    Ok(Some(FollowRequest { message: Some(message) })) => self.take(message),
                    Ok(Some(FollowRequest { message: None })) => Ok(true),
                    Ok(None) | Err(_) => Ok(false),
                },
                changed = self.tail.changed(), if !has_work => Ok(changed.is_ok()),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => return,
                Err(status) => {
                    let _ = outgoing.send(Err(status)).await;
                    return;
                }
            }
        }
    }

    fn has_work(&self) -> bool {
        !self.grants.is_empty() || self.needs_snapshot || self.snapshot.is_some() || self.sent < *self.tail.borrow()
    }

    /// `false` ends the connection.
    fn take(&mut self, message: follow_request::Message) -> Result<bool, Status> {
        match message {
            follow_request::Message::Ack(ack) => self.app.feed.acked(self.instance, ack.applied),
            follow_request::Message::Renew(renew) => {
                let cache = renew.cache.map(|cache| [cache.entries, cache.hits, cache.misses]);
                if let Some(grant) = self.app.feed.renew(self.instance, renew.n, cache) {
                    if self.grants.len() == MOST_GRANTS {
                        self.grants.pop_front();
                    }
                    self.grants.push_back(grant_message(grant));
                }
            }
            follow_request::Message::Release(_) => {
                self.app.feed.released(self.instance);
                return Ok(false);
            }
            follow_request::Message::Subscribe(_) => {
                return Err(Status::invalid_argument("a connection subscribes once"));
            }
        }
        Ok(true)
    }

    /// The next message; the network has room for it.
    async fn next(&mut self) -> Result<Option<follow_reply::Message>, Status> {
        if let Some(grant) = self.grants.pop_front() {
            return Ok(Some(follow_reply::Message::Grant(grant)));
        }
        if let Some(mut snapshot) = self.snapshot.take() {
            let part = snapshot.part(&self.app).await.map_err(unreadable)?;
            if part.last {
                self.sent = snapshot.to();
            } else {
                self.snapshot = Some(snapshot);
            }
            return Ok(Some(follow_reply::Message::Batch(part)));
        }
        if self.needs_snapshot {
            return self.begin_snapshot().await.map(Some);
        }
        match self.app.feed.tail.after(self.sent, EVENTS_OF_A_BATCH) {
            None => self.begin_snapshot().await.map(Some),
            Some(events) => self.batch(&events),
        }
    }

    async fn begin_snapshot(&mut self) -> Result<follow_reply::Message, Status> {
        let (first, rest) = Snapshot::begin(&self.app, &self.audiences).await.map_err(unreadable)?;
        self.needs_snapshot = false;
        if first.last {
            self.sent = first.to;
        }
        self.snapshot = rest;
        Ok(follow_reply::Message::Batch(first))
    }

    fn batch(&mut self, events: &[Arc<TailEvent>]) -> Result<Option<follow_reply::Message>, Status> {
        let Some(to) = events.last().map(|event| event.seq) else { return Ok(None) };
        if events.iter().any(|event| event.ends(&self.client)) {
            return Err(Status::unauthenticated("this client was disabled"));
        }
        let from = std::mem::replace(&mut self.sent, to);
        let concerning = events.iter().filter(|event| event.concerns(&self.audience_names));
        let events = concerning.map(|event| event.message()).collect();
        let floor = self.app.feed.floor();
        Ok(Some(follow_reply::Message::Batch(proto::Batch { from, to, floor, events, last: true, part: 0 })))
    }
}

fn unreadable(error: propusk_core::store::StoreError) -> Status {
    tracing::error!(%error, "the log cannot be read");
    Status::unavailable("the log cannot be read now")
}

fn grant_message(grant: propusk_verify::feed::Grant) -> proto::Grant {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    proto::Grant {
        n: grant.n,
        head: grant.head,
        lease_ms: millis(grant.lease),
        age_ms: millis(grant.age),
        floor: grant.floor,
    }
}
