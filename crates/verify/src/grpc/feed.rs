//! Follows the authority's log over gRPC: moves messages between the network and the [`Follower`], which decides.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::client::FeedClient;
use super::convert::Malformed;
use super::proto::{self, FollowReply, FollowRequest, follow_reply, follow_request};
use crate::clock::{Clock as _, SystemClock};
use crate::feed::{Drift, Follower, Instance, Reaction, View};

/// How a feed is followed.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// How often a lease is asked for; 1 s by default.
    pub renew: Duration,
    /// The bound on how much two clocks may run apart; 0.2 by default.
    pub drift: Drift,
    /// The service's version, for the list of live verifiers.
    pub version: String,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { renew: Duration::from_secs(1), drift: Drift::default(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A view that is kept up to date by a task of its own. Cheap to clone; the task ends with [`Feed::release`] or with
/// the runtime.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    view: Arc<View>,
    client: FeedClient,
    drift: Drift,
    stop: watch::Sender<bool>,
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Released,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("view", &self.0.view).finish_non_exhaustive()
    }
}

impl Feed {
    /// Follows the log for these audiences. Must be called within a tokio runtime.
    pub fn start(client: FeedClient, audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::start_with(client, audiences, FeedOptions::default())
    }

    /// The same with other options.
    pub fn start_with(
        client: FeedClient,
        audiences: impl IntoIterator<Item = impl Into<String>>,
        options: FeedOptions,
    ) -> Self {
        let view = Arc::new(View::new(audiences));
        let (stop, stopped) = watch::channel(false);
        let (state, states) = watch::channel(State::Starting);
        let drift = options.drift;
        let task = Task {
            follower: Follower::new(Instance::draw(), drift),
            view: Arc::clone(&view),
            client: client.clone(),
            options,
            stopped,
            state,
        };
        tokio::spawn(task.run());
        Self(Arc::new(Inner { view, client, drift, stop, state: states }))
    }

    /// What is in memory.
    pub fn view(&self) -> &Arc<View> {
        &self.0.view
    }

    /// The client that the feed runs over.
    pub fn client(&self) -> &FeedClient {
        &self.0.client
    }

    /// The bound on drift that it counts with.
    pub fn drift(&self) -> Drift {
        self.0.drift
    }

    /// Whether the first snapshot is applied and its age known.
    pub fn is_ready(&self) -> bool {
        *self.0.state.borrow() == State::Ready
    }

    /// Waits for the first snapshot.
    pub async fn ready(&self) {
        let _ = self.0.state.clone().wait_for(|state| *state != State::Starting).await;
    }

    /// Tells the authority that no grant will be used any more, so that nobody waits for this process. For a graceful
    /// stop, after the last request was answered.
    pub async fn release(&self) {
        self.0.stop.send_replace(true);
        let _ = self.0.state.clone().wait_for(|state| *state == State::Released).await;
    }
}

struct Task {
    follower: Follower,
    view: Arc<View>,
    client: FeedClient,
    options: FeedOptions,
    stopped: watch::Receiver<bool>,
    state: watch::Sender<State>,
}

/// Why a connection ended.
enum End {
    Released,
    /// Batches are missing: subscribe again at once.
    Gap,
    /// The log went back behind what was applied.
    Ahead,
    Lost(String),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::FailedPrecondition => Self::Ahead,
            code => Self::Lost(format!("{code:?}: {}", status.message())),
        }
    }
}

impl From<Malformed> for End {
    fn from(error: Malformed) -> Self {
        Self::Lost(error.to_string())
    }
}

/// The first wait before a new connection; each further one is twice as long, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long the authority may take to confirm a release.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// Messages of ours that may wait for the network.
const MOST_OUTGOING: usize = 256;

impl Task {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            let began = Instant::now();
            match self.connection().await {
                End::Released => break,
                End::Gap => tracing::info!(applied = self.view.applied(), "events are missing: subscribing again"),
                End::Ahead => {
                    tracing::error!(
                        applied = self.view.applied(),
                        "the authority's log ends before what was applied here: it lost commits; starting afresh"
                    );
                    self.follower.start_afresh(&self.view, Instance::draw());
                }
                End::Lost(reason) => tracing::warn!(reason, "the feed was lost: trying again"),
            }
            if began.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(wait)) => {}
                _ = self.stopped.wait_for(|stop| *stop) => break,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.state.send_replace(State::Released);
    }

    async fn connection(&mut self) -> End {
        let (outgoing, requests) = mpsc::channel(MOST_OUTGOING);
        if self.subscribe(&outgoing).is_err() {
            return End::Lost("the first message cannot be sent".to_owned());
        }
        let mut stopped = self.stopped.clone();
        let replies = tokio::select! {
            replies = self.client.follow(ReceiverStream::new(requests)) => replies,
            _ = stopped.wait_for(|stop| *stop) => return End::Released,
        };
        match replies {
            Ok(replies) => self.converse(&outgoing, replies).await,
            Err(status) => status.into(),
        }
    }

    fn subscribe(&mut self, outgoing: &mpsc::Sender<FollowRequest>) -> Result<(), End> {
        let subscribe = self.follower.subscribe(&self.view);
        let message = proto::Subscribe {
            instance: subscribe.instance.0.to_vec().into(),
            audiences: self.view.audiences().map(str::to_owned).collect(),
            applied: subscribe.applied,
            version: self.options.version.clone(),
        };
        send(outgoing, follow_request::Message::Subscribe(message))?;
        self.renew(outgoing)
    }

    /// The clock is read before the message goes out: the lease counts from then.
    fn renew(&mut self, outgoing: &mpsc::Sender<FollowRequest>) -> Result<(), End> {
        let renew = self.follower.renew(SystemClock.moment());
        send(outgoing, follow_request::Message::Renew(proto::Renew { n: renew.n, cache: None }))
    }

    async fn converse(&mut self, outgoing: &mpsc::Sender<FollowRequest>, mut replies: Streaming<FollowReply>) -> End {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.options.renew, self.options.renew);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = self.stopped.clone();
        let silence_limit = self.options.renew * 3 + Duration::from_secs(1);
        let mut heard = Instant::now();
        loop {
            let outcome = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {
                    if heard.elapsed() > silence_limit {
                        return End::Lost(format!("nothing was heard for {silence_limit:?}"));
                    }
                    self.renew(outgoing)
                }
                reply = replies.message() => {
                    heard = Instant::now();
                    match reply {
                        Ok(Some(reply)) => self.take(outgoing, reply),
                        Ok(None) => Err(End::Lost("the authority closed the connection".to_owned())),
                        Err(status) => Err(status.into()),
                    }
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
        self.release(outgoing, replies).await
    }

    fn take(&mut self, outgoing: &mpsc::Sender<FollowRequest>, reply: FollowReply) -> Result<(), End> {
        match reply.message {
            Some(follow_reply::Message::Batch(batch)) => match self.follower.batch(&self.view, batch.try_into()?) {
                Reaction::None => {}
                Reaction::Ack(applied) => {
                    send(outgoing, follow_request::Message::Ack(proto::Ack { applied }))?;
                }
                Reaction::Resubscribe => return Err(End::Gap),
            },
            Some(follow_reply::Message::Grant(grant)) => {
                self.follower.grant(&self.view, grant.into(), SystemClock.moment());
            }
            None => {}
        }
        if *self.state.borrow() == State::Starting && self.view.fresh_as_of().as_nanos() > 0 {
            tracing::info!(applied = self.view.applied(), instance = %self.follower.instance(), "the feed is followed");
            self.state.send_replace(State::Ready);
        }
        Ok(())
    }

    async fn release(&mut self, outgoing: &mpsc::Sender<FollowRequest>, mut replies: Streaming<FollowReply>) -> End {
        self.follower.release(&self.view);
        if send(outgoing, follow_request::Message::Release(proto::Release {})).is_ok() {
            // The authority ends the stream when it has noted the release.
            let ended = async { while let Ok(Some(_)) = replies.message().await {} };
            let _ = tokio::time::timeout(RELEASE_LIMIT, ended).await;
        }
        End::Released
    }
}

fn send(outgoing: &mpsc::Sender<FollowRequest>, message: follow_request::Message) -> Result<(), End> {
    let request = FollowRequest { message: Some(message) };
    outgoing.try_send(request).map_err(|_| End::Lost("the connection takes no more messages".to_owned()))
}

/// Between half and the whole of `wait`, so that verifiers that lost the authority together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut bits = [0];
    // Without randomness there is no jitter: no harm.
    let _ = aws_lc_rs::rand::fill(&mut bits);
    wait / 2 + wait / 2 * u32::from(bits[0]) / 255
}
