//! `Idempotency-Key`: a POST whose answer was lost is sent again, and its first answer comes again.
//!
//! The answer is kept for 24 hours, sealed, also one with a secret: who lost it needs it. A key belongs to its caller. With
//! another request it is 422; a request that was refused changed nothing, and is judged anew.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use propusk_core::audit::Actor;
use propusk_core::env::Env;
use propusk_core::idempotency::{self, KeptAnswer, OnceKey};
use propusk_core::keys;
use propusk_core::store::Tx;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::version::etag;
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{StrictJson, media_type};
use crate::guard::Caller;

/// Who asks for something to be done, and under which key.
pub(super) struct Once {
    pub(super) actor: Actor,
    key: Option<OnceKey>,
}

/// A POST with a JSON body.
pub(super) struct OnceJson<T>(pub(super) Once, pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for OnceJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (once, body, is_json) = read(request, app).await?;
        if !is_json {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let problem = Problem::new(status, "unsupported-media-type", "The body is not of the wanted kind");
            return Err(problem.detail("Send JSON with Content-Type: application/json.").into_response());
        }
        let StrictJson(body) = StrictJson::from_slice(&body).map_err(IntoResponse::into_response)?;
        Ok(Self(once, body))
    }
}

/// A POST whose body, if it has one, does not matter.
impl FromRequest<Arc<App>> for Once {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        Ok(read(request, app).await?.0)
    }
}

async fn read(request: Request, app: &Arc<App>) -> Result<(Once, Bytes, bool), Response> {
    let (mut parts, body) = request.into_parts();
    let Caller(actor) = Caller::from_request_parts(&mut parts, app).await?;
    let name = name(&parts).map_err(IntoResponse::into_response)?;
    let is_json = media_type(&parts.headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let body = Bytes::from_request(Request::from_parts(parts, body), app).await.map_err(|rejection| {
        let problem = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
        } else {
            Problem::bad_request("The body could not be read.")
        };
        problem.into_response()
    })?;
    let request = [method.as_str().as_bytes(), uri.path().as_bytes(), body.as_ref()];
    let key = name.map(|name| OnceKey::new(&actor.subject, &name, &request));
    Ok((Once { actor, key }, body, is_json))
}

fn name(parts: &Parts) -> Result<Option<String>, Problem> {
    let mut values = parts.headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=255).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Problem::bad_request("Idempotency-Key is one text of 1 to 255 ASCII characters")),
    }
}

/// What was done.
pub(super) struct Done(KeptAnswer);

impl Done {
    /// Something was made; it is the body.
    pub(super) fn created(made: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(made).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            Problem::internal()
        })?;
        let status = StatusCode::CREATED.as_u16();
        Ok(Self(KeptAnswer { status, seq: None, version: None, body: Some(body) }))
    }

    /// Something was changed; how far that got is the body.
    pub(super) fn changed(seq: u64) -> Self {
        Self(KeptAnswer { status: StatusCode::OK.as_u16(), seq: Some(seq), version: None, body: None })
    }

    /// Something was done of which the body tells.
    pub(super) fn answered(told: &impl Serialize) -> Result<Self, Problem> {
        let Self(answer) = Self::created(told)?;
        Ok(Self(KeptAnswer { status: StatusCode::OK.as_u16(), ..answer }))
    }

    /// Something was begun; it is the body.
    pub(super) fn accepted(begun: &impl Serialize) -> Result<Self, Problem> {
        let Self(answer) = Self::created(begun)?;
        Ok(Self(KeptAnswer { status: StatusCode::ACCEPTED.as_u16(), ..answer }))
    }

    /// The position in the log to wait for.
    pub(super) fn at(mut self, seq: u64) -> Self {
        self.0.seq = Some(seq);
        self
    }

    /// The version of what was made.
    pub(super) fn version(mut self, version: u64) -> Self {
        self.0.version = Some(version);
        self
    }
}

impl App {
    /// Does something, unless it was done before under the same key.
    pub(super) async fn once(
        self: &Arc<Self>,
        once: Once,
        wait: Wait,
        job: impl FnOnce(&mut dyn Tx, Env<'static>, &Actor) -> Result<Done, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let app = Arc::clone(self);
        let answer = self
            .write(move |tx, env| {
                let kek = app.signer.kek();
                let Some(key) = &once.key else { return Ok(job(tx, env, &once.actor)?.0) };
                match idempotency::kept(tx, env, kek, key)? {
                    Ok(Some(answer)) => Ok(answer),
                    Ok(None) => {
                        let Done(answer) = job(tx, env, &once.actor)?;
                        idempotency::keep(tx, env, kek, key, &answer)?;
                        Ok(answer)
                    }
                    Err(idempotency::OtherRequest) => Err(other_request()),
                }
            })
            .await?;
        Ok(self.render(answer, wait).await)
    }

    /// The same for what changes keys: what is public of them changes as in [`App::change_keys`].
    pub(super) async fn once_with_keys(
        self: &Arc<Self>,
        once: Once,
        wait: Wait,
        job: impl FnOnce(&mut dyn Tx, Env<'static>, &Actor) -> Result<Done, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let app = Arc::clone(self);
        let answer = self.once(once, wait, move |tx, env, actor| {
            let done = job(tx, env, actor)?;
            app.publish(keys::load_rings(tx)?);
            Ok(done)
        });
        let answer = answer.await;
        // Also when the commit failed: then what was published before holds again.
        if let Err(error) = self.reload_rings().await {
            tracing::error!(%error, "keys cannot be read");
        }
        answer
    }

    async fn render(&self, answer: KeptAnswer, wait: Wait) -> Response {
        let enforcement = match answer.seq {
            Some(seq) => Some(self.enforce(seq, wait).await),
            None => None,
        };
        let mut response = match (answer.body, &enforcement) {
            (Some(body), _) => {
                let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::CREATED);
                let headers = [
                    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                ];
                (status, headers, body).into_response()
            }
            (None, Some(enforcement)) => enforcement.clone().into_response(),
            (None, None) => StatusCode::NO_CONTENT.into_response(),
        };
        let version = answer.version.map(etag);
        response.headers_mut().extend(version.into_iter().chain(enforcement.map(|it| it.header())));
        response
    }
}

fn other_request() -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "idempotency-key-reused", "The key belongs to another request")
        .detail("This Idempotency-Key came with another request before: take a new one.")
}
