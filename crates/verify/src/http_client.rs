//! What the verifier asks over HTTP(S): small documents, with a limit of size and time, never a redirect.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use crate::clock::{Clock as _, Moment, SystemClock};
use crate::exchange::{UrlError, parse_url};
use crate::jose::KeyRing;
use crate::reason::Reason;
use crate::tls::{TlsError, client_config, trusting_nobody};

/// No document that we read is larger.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A connection is not used again after this long; servers close theirs a little later.
const IDLE: Duration = Duration::from_secs(60);

/// A client with a pool of its own. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// No answer. The text is for our log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Failed(String),
}

impl HttpError {
    /// With the causes, which is where the address and the system's own words are.
    fn of(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Failed(text)
    }
}

struct Answer {
    status: u16,
    cache_control: Option<HeaderValue>,
    body: Bytes,
}

impl HttpClient {
    /// For the server of `uri`. Trusts these roots and no others; without them, the machine's own.
    pub(crate) fn new(uri: &Uri, timeout: Duration, roots_pem: Option<&str>) -> Result<Self, TlsError> {
        // The machine's roots cost time and memory to load, and may be missing: only who needs them pays.
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let tls = if is_https { client_config(roots_pem)? } else { trusting_nobody() };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Ok(Self { client: client.build(connector), timeout })
    }

    /// Status and body of a form that was sent.
    pub(crate) async fn post_form(
        &self,
        uri: &Uri,
        authorization: &HeaderValue,
        form: &[(&str, &str)],
    ) -> Result<(u16, Bytes), HttpError> {
        let body: Zeroizing<String> = Zeroizing::new(
            form.iter().map(|(name, value)| format!("{name}={}", form_encode(value))).collect::<Vec<_>>().join("&"),
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|error| HttpError::of(&error))?;
        let answer = self.send(request).await?;
        Ok((answer.status, answer.body))
    }

    async fn get(&self, uri: &Uri) -> Result<Answer, HttpError> {
        let request = Request::builder()
            .uri(uri)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Full::default())
            .map_err(|error| HttpError::of(&error))?;
        self.send(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| HttpError::of(&error))?;
            let status = response.status().as_u16();
            let cache_control = response.headers().get(CACHE_CONTROL).cloned();
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
            let body = body.map_err(|error| HttpError::Failed(error.to_string()))?.to_bytes();
            Ok(Answer { status, cache_control, body })
        };
        tokio::time::timeout(self.timeout, exchange).await.map_err(|_| HttpError::Timeout(self.timeout))?
    }
}

/// `application/x-www-form-urlencoded`, as a browser would.
pub(crate) fn form_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// How long a fetched set is used before it is fetched again, where the answer does not say.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
/// How often a key that is not in the set may cause a fetch.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How often a fetch is tried while it fails.
const RETRY: Duration = Duration::from_secs(1);

/// A key set cannot be fetched as configured.
#[derive(Debug, thiserror::Error)]
pub enum JwksUrlError {
    /// The address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Certificates to trust.
    #[error("the certificates to trust cannot be used: {0}")]
    Roots(#[from] TlsError),
}

/// A JWK Set at a URL, kept in memory.
pub(crate) struct JwksUrl {
    uri: Uri,
    http: HttpClient,
    fetched: ArcSwapOption<Fetched>,
    /// The one fetch at a time, and what became of the last one.
    fetching: Mutex<Option<Attempt>>,
}

struct Attempt {
    at: Moment,
    failed: bool,
}

struct Fetched {
    ring: Arc<KeyRing>,
    at: Moment,
    max_age: Duration,
}

impl JwksUrl {
    pub(crate) fn new(url: &str, roots_pem: Option<&str>) -> Result<Self, JwksUrlError> {
        let uri = parse_url(url)?;
        Ok(Self {
            http: HttpClient::new(&uri, Duration::from_secs(5), roots_pem)?,
            uri,
            fetched: ArcSwapOption::empty(),
            fetching: Mutex::new(None),
        })
    }

    /// The ring, fetched if there is none or it has aged. `None` if it was never had.
    pub(crate) async fn ring(&self) -> Option<Arc<KeyRing>> {
        match self.fetched.load_full() {
            Some(fetched) if SystemClock.moment().since(fetched.at) < fetched.max_age => {}
            // One caller fetches; the others do not wait for a server that may be slow, for they have a ring.
            Some(_) => {
                if let Ok(last) = self.fetching.try_lock() {
                    self.fetch(last, RETRY).await;
                }
            }
            None => {
                self.fetch(self.fetching.lock().await, RETRY).await;
            }
        }
        self.fetched.load().as_ref().map(|fetched| Arc::clone(&fetched.ring))
    }

    /// The ring after another fetch; [`Reason::KidUnknown`] if one was made only just now.
    pub(crate) async fn look_again(&self) -> Result<Arc<KeyRing>, Reason> {
        match self.fetch(self.fetching.lock().await, COOLDOWN).await {
            Fetch::Done => self.fetched.load().as_ref().map(|it| Arc::clone(&it.ring)).ok_or(Reason::KidUnavailable),
            Fetch::TooSoon => Err(Reason::KidUnknown),
            Fetch::Failed => Err(Reason::KidUnavailable),
        }
    }

    async fn fetch(&self, mut last: MutexGuard<'_, Option<Attempt>>, not_within: Duration) -> Fetch {
        let now = SystemClock.moment();
        match &*last {
            Some(attempt) if now.since(attempt.at) < not_within => {
                // What could not be asked then is not known now.
                return if attempt.failed { Fetch::Failed } else { Fetch::TooSoon };
            }
            _ => {}
        }
        // Noted before, for the caller may go away meanwhile; and after, for those who waited are not to try at once.
        *last = Some(Attempt { at: now, failed: true });
        let outcome = self.fetch_ring(now).await;
        *last = Some(Attempt { at: SystemClock.moment(), failed: outcome.is_err() });
        match outcome {
            Ok(fetched) => {
                self.fetched.store(Some(Arc::new(fetched)));
                Fetch::Done
            }
            Err(error) => {
                tracing::warn!(url = %self.uri, %error, "the key set cannot be fetched");
                Fetch::Failed
            }
        }
    }

    async fn fetch_ring(&self, now: Moment) -> Result<Fetched, HttpError> {
        let answer = self.http.get(&self.uri).await?;
        if answer.status != 200 {
            return Err(HttpError::Failed(format!("status {}", answer.status)));
        }
        let ring = KeyRing::from_public_jwks(&answer.body).map_err(|error| HttpError::of(&error))?;
        let max_age = answer.cache_control.as_ref().and_then(max_age).unwrap_or(DEFAULT_MAX_AGE);
        Ok(Fetched { ring: Arc::new(ring), at: now, max_age })
    }
}

enum Fetch {
    Done,
    TooSoon,
    Failed,
}

/// `max-age` of a `Cache-Control` header, between a second and a day.
fn max_age(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?.parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, 24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form_encode("a b&c=d+ü"), "a+b%26c%3Dd%2B%C3%BC");
    }

    #[test]
    fn ages() {
        let age = |text: &str| max_age(&HeaderValue::from_str(text).unwrap()).map(|age| age.as_secs());
        assert_eq!(age("public, max-age=60"), Some(60));
        assert_eq!(age("max-age=0"), Some(1));
        assert_eq!(age("max-age=99999999999"), Some(86_400));
        assert_eq!(age("no-store"), None);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_asked_for_is_not_called_unknown() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = JwksUrl::new(&format!("http://{}/", listener.local_addr().unwrap()), None).unwrap();
        // Nobody answers there from now on.
        drop(listener);
        let now = SystemClock.moment();
        let ring = Arc::new(KeyRing::default());
        source.fetched.store(Some(Arc::new(Fetched { ring, at: now, max_age: DEFAULT_MAX_AGE })));
        let looked = async |since: Duration, failed| {
            *source.fetching.lock().await = Some(Attempt { at: now.minus(since), failed });
            let first = source.look_again().await.unwrap_err();
            (first, source.look_again().await.unwrap_err())
        };
        assert_eq!(looked(Duration::ZERO, false).await, (Reason::KidUnknown, Reason::KidUnknown));
        assert_eq!(looked(Duration::ZERO, true).await, (Reason::KidUnavailable, Reason::KidUnavailable));
        assert_eq!(looked(COOLDOWN, false).await, (Reason::KidUnavailable, Reason::KidUnavailable));
    }

    #[tokio::test]
    async fn who_has_a_ring_does_not_wait_for_a_new_one() {
        // It takes connections and never answers.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source = JwksUrl::new(&format!("http://{}/", listener.local_addr().unwrap()), None).unwrap();
        let (ring, at) = (Arc::new(KeyRing::default()), SystemClock.moment().minus(DEFAULT_MAX_AGE));
        source.fetched.store(Some(Arc::new(Fetched { ring, at, max_age: DEFAULT_MAX_AGE })));
        let someone_fetches = source.fetching.lock().await;
        assert!(source.ring().await.is_some());
        drop(someone_fetches);
    }
}
