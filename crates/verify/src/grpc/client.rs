//! A client of the authority's gRPC listener.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};
use zeroize::Zeroizing;

use super::batcher::{self, Asked};
use super::proto::feed_client::FeedClient as Stub;
use super::proto::{FollowReply, FollowRequest};
use crate::check::{BoxFuture, CheckItem, CheckReply, CheckUnavailable, OnlineCheck};

/// Decisions that may wait for the next call; more are answered "cannot tell".
const MOST_WAITING: usize = 8 * 1024;

/// A connection to the authority's gRPC listener, as one client of it. It is made at first use and made anew when it
/// breaks. Cheap to clone.
#[derive(Clone)]
pub struct FeedClient {
    channel: Channel,
    authorization: MetadataValue<Ascii>,
    checks: mpsc::Sender<Asked>,
}

/// What a client was given cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedConfigError {
    /// The address.
    #[error("{0:?} is not the http or https URL of an authority's gRPC listener")]
    Url(String),
    /// The client id or secret.
    #[error("the client id or secret cannot be sent in a header")]
    Credentials,
    /// Certificates to trust.
    #[error("the certificates to trust cannot be used: {0}")]
    Tls(String),
}

impl FeedClient {
    /// For a listener at `url`; `https` trusts the machine's own roots. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`FeedConfigError`].
    pub fn connect_lazy(url: &str, client_id: &str, client_secret: &str) -> Result<Self, FeedConfigError> {
        Self::connect_lazy_trusting(url, client_id, client_secret, None)
    }

    /// The same, trusting only the certificates in `roots_pem` where it is given.
    ///
    /// # Errors
    /// [`FeedConfigError`].
    pub fn connect_lazy_trusting(
        url: &str,
        client_id: &str,
        client_secret: &str,
        roots_pem: Option<&str>,
    ) -> Result<Self, FeedConfigError> {
        let channel = endpoint(url, roots_pem)?.connect_lazy();
        let pair = Zeroizing::new(format!("{client_id}:{client_secret}"));
        let header = Zeroizing::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
        let mut authorization = MetadataValue::try_from(header.as_str()).map_err(|_| FeedConfigError::Credentials)?;
        authorization.set_sensitive(true);
        let (checks, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(batcher::run(Stub::new(channel.clone()), authorization.clone(), waiting));
        Ok(Self { channel, authorization, checks })
    }

    pub(super) async fn follow(
        &self,
        requests: impl tokio_stream::Stream<Item = FollowRequest> + Send + 'static,
    ) -> Result<Streaming<FollowReply>, Status> {
        let mut request = Request::new(requests);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        Stub::new(self.channel.clone()).follow(request).await.map(tonic::Response::into_inner)
    }
}

fn endpoint(url: &str, roots_pem: Option<&str>) -> Result<Endpoint, FeedConfigError> {
    let wrong = || FeedConfigError::Url(url.to_owned());
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
    let endpoint = endpoint
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    match endpoint.uri().scheme_str() {
        Some("http") if endpoint.uri().host().is_some() => Ok(endpoint),
        Some("https") if endpoint.uri().host().is_some() => {
            let tls = match roots_pem {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint.tls_config(tls).map_err(|error| FeedConfigError::Tls(error.to_string()))
        }
        _ => Err(wrong()),
    }
}

impl OnlineCheck for FeedClient {
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let full = |_| CheckUnavailable("too many decisions wait for an answer".to_owned());
            self.checks.try_send(Asked { items, answer }).map_err(full)?;
            answered.await.map_err(|_| CheckUnavailable("the client has ended".to_owned()))?
        })
    }
}

impl fmt::Debug for FeedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedClient")
    }
}
