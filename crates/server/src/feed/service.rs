//! The gRPC service that verifiers call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use base64ct::{Base64, Encoding as _};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use propusk_core::clients::{self, ClientAuthError};
use propusk_core::id::ServiceId;
use propusk_core::secret::PlainSecret;
use propusk_core::store::Client;
use propusk_verify::check::{CheckItem, CheckVerdict, OnlineCheck as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::proto::feed_server::{Feed, FeedServer};
use super::proto::{self, CheckAnswer, CheckReply, CheckRequest, FollowRequest, Verdict, follow_request};
use super::stream::{Connection, MOST_OUTGOING, Reply};
use crate::app::App;
use crate::checking::CommittedState;

/// The most tokens in one call.
const MAX_ITEMS: usize = 1024;
/// The largest message that is read; a full batch of our tokens is below it.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;

/// How long a new connection may take to say who it is.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(5);

/// The service, to be put on a listener for HTTP/2.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let service = FeedServer::new(FeedService { app }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(service).into_axum_router()
}

struct FeedService {
    app: Arc<App>,
}

#[tonic::async_trait]
impl Feed for FeedService {
    type FollowStream = BoxStream<'static, Reply>;

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckReply>, Status> {
        let client = self.authenticate(&request).await?;
        let items = request.into_inner().items;
        if items.len() > MAX_ITEMS {
            return Err(Status::invalid_argument(format!("at most {MAX_ITEMS} items in a call")));
        }
        if let Some(foreign) = items.iter().find(|item| !may_ask_about(&client, &item.aud)) {
            return Err(Status::permission_denied(format!("{} may not ask about {}", client.id, foreign.aud)));
        }
        let items = items.into_iter().map(CheckItem::from).collect();
        let reply = CommittedState(Arc::clone(&self.app)).check(items).await;
        let reply = reply.map_err(|_| Status::unavailable("committed state cannot be read now"))?;
        let answers = reply.answers.into_iter().map(CheckAnswer::from).collect();
        Ok(Response::new(CheckReply { as_of_seq: reply.as_of_seq, answers, floor: reply.floor }))
    }

    async fn follow(&self, request: Request<Streaming<FollowRequest>>) -> Result<Response<Self::FollowStream>, Status> {
        let client = self.authenticate(&request).await?;
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let address = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string()).unwrap_or_default();
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(SUBSCRIBE_LIMIT, incoming.message()).await;
        let Ok(Ok(Some(FollowRequest { message: Some(follow_request::Message::Subscribe(subscribe)) }))) = first else {
            return Err(Status::invalid_argument("the first message is Subscribe"));
        };
        let audiences = permitted(&client, &subscribe.audiences)?;
        let (outgoing, replies) = mpsc::channel(MOST_OUTGOING);
        let app = Arc::clone(&self.app);
        let connection = Connection::subscribe(app, client.id.to_string(), address, &subscribe, audiences, outgoing)?;
        tokio::spawn(connection.run(incoming));
        Ok(Response::new(ReceiverStream::new(replies).boxed()))
    }
}

/// The audiences that a client may follow, each once.
fn permitted(client: &Client, named: &[String]) -> Result<Vec<ServiceId>, Status> {
    if named.is_empty() {
        return Err(Status::invalid_argument("audiences is empty"));
    }
    if let Some(foreign) = named.iter().find(|aud| !may_ask_about(client, aud)) {
        return Err(Status::permission_denied(format!("{} may not follow {foreign}", client.id)));
    }
    let mut audiences: Vec<ServiceId> = named.iter().filter_map(|aud| aud.parse().ok()).collect();
    audiences.sort();
    audiences.dedup();
    Ok(audiences)
}

impl FeedService {
    async fn authenticate<T>(&self, request: &Request<T>) -> Result<Client, Status> {
        let refused = || Status::unauthenticated("client authentication failed");
        let header = request.metadata().get("authorization").ok_or_else(refused)?;
        let (id, secret) = parse_basic(header.as_bytes()).ok_or_else(refused)?;
        self.app.read(move |tx, env| clients::authenticate(tx, env, &id, &secret)).await.map_err(|error| match error {
            ClientAuthError::Refused => refused(),
            ClientAuthError::Store(error) => {
                tracing::error!(%error, "the store failed");
                Status::unavailable("committed state cannot be read now")
            }
        })
    }
}

/// A service about its own audience; a first-party client (the gateway) about those it was registered for.
fn may_ask_about(client: &Client, aud: &str) -> bool {
    client.id.as_str() == aud || (client.first_party && client.audiences.iter().any(|own| own.as_str() == aud))
}

/// RFC 7617, ids and secrets as they are: both sides are ours.
fn parse_basic(value: &[u8]) -> Option<(String, PlainSecret)> {
    let encoded = std::str::from_utf8(value).ok()?.strip_prefix("Basic ")?;
    let decoded = zeroize::Zeroizing::new(Base64::decode_vec(encoded).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.to_owned(), PlainSecret::presented(secret)))
}

impl From<proto::CheckItem> for CheckItem {
    fn from(item: proto::CheckItem) -> Self {
        Self {
            aud: item.aud,
            jti: item.jti,
            sid: (!item.sid.is_empty()).then_some(item.sid),
            sub: item.sub,
            client_id: item.client_id,
            actors: item.actors,
            epoch: item.epoch,
            kid: item.kid,
        }
    }
}

impl From<CheckVerdict> for CheckAnswer {
    fn from(verdict: CheckVerdict) -> Self {
        let (verdict, roles, permissions) = match verdict {
            CheckVerdict::Good { roles, permissions } => (Verdict::Good, roles, permissions),
            CheckVerdict::Refused => (Verdict::Refused, Vec::new(), Vec::new()),
            CheckVerdict::Stale => (Verdict::Stale, Vec::new(), Vec::new()),
        };
        Self { verdict: verdict.into(), roles, permissions }
    }
}
