//! What handlers take from a request, beyond what axum brings.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request, State};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use propusk_core::audit::Actor;
use propusk_core::cursor;
use propusk_core::store::{Client, Page, SessionOrigin, StoreError};
use propusk_verify::axum::RequestId;
pub(crate) use propusk_verify::axum::StrictJson;
use propusk_verify::forwarded::{client_address, said_first};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::Problem;

/// The body, if there is one, as [`StrictJson`].
pub(crate) struct OptionalJson<T>(pub(crate) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = whole_body(request, state).await?;
        if body.is_empty() { Ok(Self(None)) } else { Ok(Self(Some(StrictJson::from_slice(&body)?.0))) }
    }
}

async fn whole_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
        } else {
            Problem::bad_request("The body could not be read.")
        }
    })
}

pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// A text that must not be printed or left behind: a password or a token.
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Where a request comes from, and under which id it is logged.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) request_id: String,
    /// That of the connection, or what a listed proxy says.
    pub(crate) address: Option<IpAddr>,
    /// What the first one to forward it says; not to be believed of just anybody.
    said: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
}

impl FromRequestParts<Arc<App>> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let request_id = parts.extensions.get::<RequestId>();
        let client = |peer: IpAddr| client_address(&parts.headers, peer, &app.trusted_proxies);
        Ok(Self {
            request_id: request_id.map(|RequestId(id)| id.clone()).unwrap_or_default(),
            address: peer.map(|ConnectInfo(peer)| client(peer.ip())),
            said: said_first(&parts.headers),
            user_agent: text("user-agent").map(|agent| agent.chars().take(256).collect()),
        })
    }
}

impl Origin {
    /// Somebody who is not signed in, for the audit log.
    pub(crate) fn anonymous(&self) -> Actor {
        Actor::anonymous(self.request_id.clone())
    }

    /// A subject, for the audit log.
    pub(crate) fn actor(&self, subject: impl Into<String>) -> Actor {
        Actor { subject: subject.into(), request_id: self.request_id.clone() }
    }

    /// Where a session starts.
    pub(crate) fn of_session(&self) -> SessionOrigin {
        SessionOrigin { address: self.address.map(|address| address.to_string()), user_agent: self.user_agent.clone() }
    }

    /// Where the person is for whom a client sent this. The client has authenticated; if it is ours, its word counts.
    pub(crate) fn behind(&self, client: &Client) -> Self {
        let said = self.said.filter(|_| client.first_party);
        Self { address: said.or(self.address), ..self.clone() }
    }

    /// The address for the throttle.
    pub(crate) fn throttled_as(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// `?cursor=&limit=` of a list: the page that is wanted, and what makes the answer of what was found.
pub(crate) struct ListQuery(pub(crate) Page, pub(crate) Pages);

#[derive(Deserialize)]
struct RawListQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

impl FromRequestParts<Arc<App>> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Queried(raw) = Queried::<RawListQuery>::from_request_parts(parts, app).await?;
        let limit = match raw.limit {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Problem::bad_request(format!("limit is a number from 1 to {MAX_LIMIT}")))?,
        };
        let list = parts.uri.path().to_owned();
        let open = |text: String| {
            let opened = cursor::open(app.signer.kek(), &list, &text);
            opened.ok_or_else(|| Problem::bad_request("cursor is the next_cursor of the page before, unchanged"))
        };
        let after = raw.cursor.map(open).transpose()?;
        Ok(Self(Page { after, limit }, Pages { app: Arc::clone(app), list, limit }))
    }
}

/// A list as it is answered.
#[derive(serde::Serialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// Makes pages of one list.
pub(crate) struct Pages {
    app: Arc<App>,
    list: String,
    limit: usize,
}

impl Pages {
    /// What was found for a page; a full one has a cursor, which holds the sort key of its last item.
    pub(crate) fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<List<T>, Problem> {
        let last = if items.len() >= self.limit { items.last().map(key) } else { None };
        let seal = |key: String| cursor::seal(self.app.signer.kek(), &self.list, &key).map_err(StoreError::failed);
        Ok(List { next_cursor: last.map(seal).transpose()?, items })
    }

    /// The part of a list that was read whole which the page asks for, in order of the key.
    pub(crate) fn part<T>(&self, page: &Page, mut all: Vec<T>, key: impl Fn(&T) -> String) -> Result<List<T>, Problem> {
        all.retain(|item| page.after.as_ref().is_none_or(|after| key(item) > *after));
        all.sort_by_cached_key(&key);
        all.truncate(page.limit);
        self.page(all, key)
    }
}

/// The parameters of the query that `T` names. What was wrong is told as a problem.
pub(crate) struct Queried<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Queried<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parsed = Query::from_request_parts(parts, state).await;
        parsed.map(|Query(query)| Self(query)).map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// Lets a request pass whose query names each parameter once and none but these.
pub(crate) async fn only_known_parameters(
    State(known): State<Arc<[String]>>,
    request: Request,
) -> Result<Request, Problem> {
    let mut seen = BTreeSet::new();
    for (name, _) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        if !known.iter().any(|known| *known == *name) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Problem::bad_request(format!("unknown parameter `{name}`, expected {known}")));
        }
        if !seen.insert(name.clone()) {
            return Err(Problem::bad_request(format!("duplicate parameter `{name}`")));
        }
    }
    Ok(request)
}
