//! A request on its way to an upstream, and the answer on its way back; both bodies pass as they come.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::body::{AnswerBody, Progress, RequestBody};
use crate::framing::io::ConnectionState;
use crate::gateway::Context;
use crate::hygiene;
use crate::pool::{SendError, SendTimeouts, Upstream};
use crate::problem::{Problem, Slug};
use crate::request_id;
use crate::secret::Secret;

/// A request without body and credential, with everything taken off that no client may say.
#[derive(Clone)]
pub(crate) struct Outgoing {
    method: Method,
    target: Uri,
    headers: HeaderMap,
}

impl Outgoing {
    pub(crate) fn new(context: &Context, parts: Parts) -> Self {
        let Parts { method, uri, mut headers, .. } = parts;
        hygiene::clean_request(&mut headers);
        context.origin.write(&mut headers, context.peer);
        request_id::set(&mut headers, &context.request_id);
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self { method, target: Uri::from(path), headers }
    }

    /// The whole request, in the caller's name or in nobody's.
    fn request(
        self,
        upstream: &Upstream,
        token: Option<&Secret>,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, http::header::InvalidHeaderValue> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(upstream.host())?);
        if let Some(token) = token {
            hygiene::authorize(headers, token.expose())?;
        }
        Ok(request)
    }
}

/// What a request brings to be passed on.
pub(crate) struct Passing<'a> {
    pub(crate) connection: &'a ConnectionState,
    pub(crate) timeouts: SendTimeouts,
}

impl Passing<'_> {
    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        upstream: &Arc<Upstream>,
        outgoing: Outgoing,
        token: Option<&Secret>,
        body: Option<Incoming>,
    ) -> Result<Response<AnswerBody>, Problem> {
        let is_head = outgoing.method == Method::HEAD;
        let progress = body.is_some().then(Progress::new);
        let body = match (body, &progress) {
            (Some(body), Some(progress)) => RequestBody::Client(body, progress.clone()),
            _ => RequestBody::Own(None),
        };
        let request = outgoing.request(upstream, token, body).map_err(|_| Problem::from(Slug::Internal))?;
        let sent = upstream.send(request, self.timeouts, progress.as_deref()).await;
        let (answer, lease) = sent.map_err(|error| self.problem(&error, upstream))?;
        let (mut head, body) = answer.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for that.
            return Err(Slug::UpstreamUnavailable.into());
        }
        hygiene::clean_answer(&mut head.headers);
        // Two lengths would be one too many.
        if body.size_hint().exact().is_none() && !is_head {
            head.headers.remove(CONTENT_LENGTH);
        }
        head.version = Version::HTTP_11;
        Ok(Response::from_parts(head, AnswerBody::upstream(body, lease)))
    }

    fn problem(&self, error: &SendError, upstream: &Upstream) -> Problem {
        if let Some(reject) = self.connection.broken_body() {
            tracing::info!(?reject, "a body broke off");
            return Problem::bad_request("the body is malformed");
        }
        match error {
            SendError::Broken(error) if error.is_user() => Problem::bad_request("the body broke off"),
            SendError::ClientStalled => Slug::RequestTimeout.into(),
            SendError::AnswerTimeout => {
                tracing::warn!(upstream = upstream.host(), %error, "upstream");
                Slug::UpstreamTimeout.into()
            }
            SendError::Connect(_) | SendError::ConnectTimeout | SendError::Broken(_) => {
                tracing::warn!(upstream = upstream.host(), %error, "upstream");
                Slug::UpstreamUnavailable.into()
            }
        }
    }
}

/// The body, unless it is known to be empty.
pub(crate) fn body_of(body: Incoming) -> Option<Incoming> {
    (!body.is_end_stream()).then_some(body)
}
