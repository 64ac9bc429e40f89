//! The gateway as a client of the authority: password and refresh grants, revocation, and who a person is.
//!
//! It is not `propusk_verify`'s token client because it must pass on more: the request id, the address and browser of
//! the person who signs in, and when to try again if the authority has no time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, FORWARDED, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::body::RequestBody;
use crate::forwarded;
use crate::gateway::Context;
use crate::pool::{SendError, SendTimeouts, Upstream};
use crate::secret::Secret;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How far the end of a session has come.
pub(crate) const ENFORCEMENT: HeaderName = HeaderName::from_static("propusk-enforcement");
/// No answer of the authority that we read is longer.
const MAX_ANSWER: usize = 64 * 1024;
/// The service that the authority itself is.
pub(crate) const AUTHORITY_AUDIENCE: &str = "propusk";

/// What a grant yields.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    /// Seconds.
    pub(crate) expires_in: u64,
    #[serde(default)]
    pub(crate) refresh_token: Option<Secret>,
    /// Seconds.
    #[serde(default)]
    pub(crate) refresh_expires_in: Option<u64>,
}

/// Who a person is.
#[derive(Debug, Deserialize)]
pub(crate) struct Me {
    pub(crate) id: String,
    pub(crate) username: String,
    session: MeSession,
}

#[derive(Debug, Deserialize)]
struct MeSession {
    expires_at: jiff::Timestamp,
}

impl Me {
    /// When the session ends, in Unix seconds.
    pub(crate) fn expires_at(&self) -> u64 {
        u64::try_from(self.session.expires_at.as_second()).unwrap_or(0)
    }
}

/// Why the authority gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthorityError {
    /// It said no to what was presented: `invalid_grant`, or 401.
    Refused,
    /// 429.
    Throttled { retry_after_s: u64 },
    /// 503 with an answer of its own.
    Busy { retry_after_s: u64 },
    /// No answer, or none that makes sense.
    Unavailable { retry_after_s: Option<u64> },
}

/// Who asks, for the authority's records and throttles.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) request_id: String,
    /// Who is behind it; `None` where nobody is.
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<HeaderValue>,
}

impl Asker {
    /// The one who sent a request.
    pub(crate) fn of(context: &Context, user_agent: Option<&HeaderValue>) -> Self {
        Self {
            request_id: context.request_id.clone(),
            address: Some(context.origin.client),
            user_agent: user_agent.cloned(),
        }
    }
}

/// The authority, as the gateway's client sees it.
pub(crate) struct Authority {
    upstream: Arc<Upstream>,
    authorization: HeaderValue,
    calls: Calls,
    /// Calls that wait for their turn, and those that run.
    admitted: Semaphore,
    running: Semaphore,
}

/// How calls are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) connect: Duration,
    /// For all of a call.
    pub(crate) timeout: Duration,
    pub(crate) at_a_time: usize,
}

/// So many calls wait for one that runs.
const WAITING_PER_CALL: usize = 16;

impl Authority {
    /// With the gateway's own client id and secret.
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        client_id: &str,
        client_secret: &str,
        calls: Calls,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        // RFC 6749 section 2.3.1: each half is form-encoded first.
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Zeroizing::new(format!("{}:{}", encode(client_id), encode(client_secret)));
        let header = Zeroizing::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
        let mut authorization = HeaderValue::from_str(&header)?;
        authorization.set_sensitive(true);
        let running = Semaphore::new(calls.at_a_time);
        let admitted = Semaphore::new(calls.at_a_time.saturating_mul(1 + WAITING_PER_CALL).min(Semaphore::MAX_PERMITS));
        Ok(Self { upstream, authorization, calls, admitted, running })
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The password grant.
    pub(crate) async fn password(
        &self,
        username: &str,
        password: &Secret,
        audience: &str,
        asker: &Asker,
    ) -> Result<Tokens, AuthorityError> {
        // An empty parameter counts as absent (RFC 6749 section 3.2): the authority would call the request malformed.
        if username.is_empty() || password.expose().is_empty() {
            return Err(AuthorityError::Refused);
        }
        let form = [
            ("grant_type", "password"),
            ("username", username),
            ("password", password.expose()),
            ("audience", audience),
        ];
        self.tokens(&form, asker).await
    }

    /// The refresh grant.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &Secret,
        audience: &str,
        request_id: &str,
    ) -> Result<Tokens, AuthorityError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose()), ("audience", audience)];
        let asker = Asker { request_id: request_id.to_owned(), address: None, user_agent: None };
        self.tokens(&form, &asker).await
    }

    /// Ends the session of a refresh token. What the authority says of its enforcement, if it does.
    pub(crate) async fn revoke(
        &self,
        refresh_token: &Secret,
        request_id: &str,
    ) -> Result<Option<HeaderValue>, AuthorityError> {
        let form = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
        let asker = Asker { request_id: request_id.to_owned(), address: None, user_agent: None };
        let (answer, body) = self.call(self.form_request("/oauth/revoke", &form, &asker)?).await?;
        if answer.status().is_success() {
            return Ok(answer.headers().get(ENFORCEMENT).cloned());
        }
        Err(failure(&answer, &body))
    }

    /// Whom an access token of the authority's own audience speaks for.
    pub(crate) async fn me(&self, access_token: &Secret, request_id: &str) -> Result<Me, AuthorityError> {
        let mut request = self.request(Method::GET, "/auth/me", request_id, None)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access_token.expose())).map_err(|_| nonsense())?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let (answer, body) = self.call(request).await?;
        if !answer.status().is_success() {
            return Err(failure(&answer, &body));
        }
        serde_json::from_slice(&body).map_err(|_| nonsense())
    }

    async fn tokens(&self, form: &[(&str, &str)], asker: &Asker) -> Result<Tokens, AuthorityError> {
        let (answer, body) = self.call(self.form_request("/oauth/token", form, asker)?).await?;
        if !answer.status().is_success() {
            return Err(failure(&answer, &body));
        }
        serde_json::from_slice(&body).map_err(|_| nonsense())
    }

    fn form_request(
        &self,
        path: &'static str,
        form: &[(&str, &str)],
        asker: &Asker,
    ) -> Result<Request<RequestBody>, AuthorityError> {
        let body = Bytes::from_owner(Zeroizing::new(encode_form(form).into_bytes()));
        let mut request = self.request(Method::POST, path, &asker.request_id, Some(body))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(Ok(address)) = asker.address.map(|address| HeaderValue::try_from(forwarded::node(address))) {
            headers.insert(FORWARDED, address);
        }
        if let Some(user_agent) = &asker.user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
        Ok(request)
    }

    fn request(
        &self,
        method: Method,
        path: &'static str,
        request_id: &str,
        body: Option<Bytes>,
    ) -> Result<Request<RequestBody>, AuthorityError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.upstream.host())
            .header(ACCEPT, "application/json")
            .header(REQUEST_ID, request_id)
            .body(RequestBody::Own(body))
            .map_err(|_| nonsense())
    }

    /// Sends a request and reads the whole answer, all within the limit. Who has asked is not let go when its client
    /// is, so it is here that calls are counted.
    async fn call(&self, request: Request<RequestBody>) -> Result<(Response<()>, Zeroizing<Vec<u8>>), AuthorityError> {
        let Calls { connect, timeout, .. } = self.calls;
        let timeouts = SendTimeouts { connect: connect.min(timeout), answer: timeout };
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(AuthorityError::Busy { retry_after_s: 1 });
        };
        let calling = async {
            let _running = self.running.acquire().await;
            let (answer, lease) = self.upstream.send(request, timeouts, None).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|_| SendError::AnswerTimeout)?;
            lease.give_back();
            Ok::<_, SendError>((Response::from_parts(head, ()), Zeroizing::new(body.to_bytes().to_vec())))
        };
        match tokio::time::timeout(timeout, calling).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the authority did not answer");
                Err(AuthorityError::Unavailable { retry_after_s: None })
            }
            Err(_) => {
                tracing::warn!("the authority took too long");
                Err(AuthorityError::Unavailable { retry_after_s: None })
            }
        }
    }
}

/// The errors of RFC 6749 section 5.2, and the two that mean "later".
fn failure(answer: &Response<()>, body: &[u8]) -> AuthorityError {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    let retry_after_s = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let error = serde_json::from_slice::<OAuthError>(body).map(|error| error.error).unwrap_or_default();
    match (answer.status(), error.as_str()) {
        (_, "invalid_grant") => AuthorityError::Refused,
        (StatusCode::TOO_MANY_REQUESTS, _) => AuthorityError::Throttled { retry_after_s: retry_after_s.unwrap_or(1) },
        (StatusCode::SERVICE_UNAVAILABLE, _) => AuthorityError::Busy { retry_after_s: retry_after_s.unwrap_or(1) },
        (status, error) => {
            // Our client is not set up for this, or the authority is broken: nothing a person could mend by signing in.
            tracing::error!(%status, error, "the authority refused the gateway");
            AuthorityError::Unavailable { retry_after_s }
        }
    }
}

fn nonsense() -> AuthorityError {
    AuthorityError::Unavailable { retry_after_s: None }
}

/// Encodes into one buffer that never grows, so that no copy of a password is left behind.
fn encode_form(form: &[(&str, &str)]) -> String {
    let most: usize = form.iter().map(|(name, value)| 2 + name.len() + 3 * value.len()).sum();
    let mut encoded = form_urlencoded::Serializer::new(String::with_capacity(most));
    encoded.extend_pairs(form);
    encoded.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_in_place() {
        let form = [("password", "p&=ä +%"), ("b", "c")];
        let text = encode_form(&form);
        assert_eq!(text, "password=p%26%3D%C3%A4+%2B%25&b=c");
        let back: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        assert_eq!(back[0].1, "p&=ä +%");
    }

    #[test]
    fn failures() {
        let of = |status: u16, retry: Option<&str>, body: &str| {
            let mut answer = Response::builder().status(status);
            if let Some(retry) = retry {
                answer = answer.header(RETRY_AFTER, retry);
            }
            failure(&answer.body(()).unwrap(), body.as_bytes())
        };
        assert_eq!(of(400, None, r#"{"error":"invalid_grant"}"#), AuthorityError::Refused);
        assert_eq!(of(429, Some("7"), "{}"), AuthorityError::Throttled { retry_after_s: 7 });
        assert_eq!(of(503, Some("2"), "{}"), AuthorityError::Busy { retry_after_s: 2 });
        for (status, body) in
            [(401, r#"{"error":"invalid_client"}"#), (400, r#"{"error":"invalid_target"}"#), (500, ""), (200, "")]
        {
            assert!(matches!(of(status, None, body), AuthorityError::Unavailable { .. }), "{status} {body}");
        }
    }
}
