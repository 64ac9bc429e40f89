//! What handlers take from a request, beyond what axum brings.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use propusk_core::audit::Actor;
use propusk_core::store::{Page, SessionOrigin};
use propusk_verify::axum::RequestId;
pub(crate) use propusk_verify::axum::StrictJson;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

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
    pub(crate) address: Option<IpAddr>,
    pub(crate) forwarded_for: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let request_id = parts.extensions.get::<RequestId>();
        let first_forwarded = text("x-forwarded-for").and_then(|list| list.split(',').next());
        Ok(Self {
            request_id: request_id.map(|RequestId(id)| id.clone()).unwrap_or_default(),
            address: peer.map(|ConnectInfo(peer)| peer.ip()),
            forwarded_for: first_forwarded.and_then(|address| address.trim().parse().ok()),
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

    /// Where a session starts that the caller opens for itself.
    pub(crate) fn direct(&self) -> SessionOrigin {
        SessionOrigin { address: self.address.map(|address| address.to_string()), user_agent: self.user_agent.clone() }
    }

    /// Where a session starts that a trusted client opens for somebody behind it: what it says counts.
    pub(crate) fn behind_client(&self) -> SessionOrigin {
        let address = self.forwarded_for.or(self.address).map(|address| address.to_string());
        SessionOrigin { address, user_agent: self.user_agent.clone() }
    }
}

/// `?cursor=&limit=` of a list.
pub(crate) struct ListQuery(pub(crate) Page);

#[derive(Deserialize)]
struct RawListQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<RawListQuery>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        let limit = match raw.limit {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Problem::bad_request(format!("limit is a number from 1 to {MAX_LIMIT}")))?,
        };
        Ok(Self(Page { after: raw.cursor, limit }))
    }
}

/// A list as it is answered.
#[derive(serde::Serialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page; a full one has a cursor, which is the sort key of its last item.
    pub(crate) fn page(items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let next_cursor = if items.len() == limit { items.last().map(key) } else { None };
        Self { items, next_cursor }
    }
}
