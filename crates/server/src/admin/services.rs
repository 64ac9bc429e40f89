//! `/admin/v1/services`: the audiences of tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::env::Timestamp;
use propusk_core::id::ServiceId;
use propusk_core::services::{self, ServiceChange, ServiceError};
use propusk_core::settings::MAX_ACCESS_TTL;
use propusk_core::store::{Service, SigningAlg};
use serde::{Deserialize, Serialize};
use url::Url;

use super::once::{Done, OnceJson};
use super::patch::given;
use super::version::{IfMatch, NeededIfMatch, etag};
use crate::app::{App, env};
use crate::enforcement::Wait;
use crate::error::{FieldError, Problem};
use crate::extract::{ListQuery, StrictJson};
use crate::guard::Caller;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Service)]
pub(super) struct ServiceView {
    id: String,
    alg: &'static str,
    /// The header member `alg` of its tokens.
    jws_alg: &'static str,
    resource_uri: Option<String>,
    access_ttl_s: Option<u32>,
    /// How long a key signs before the next one takes over: 0 is for ever, null what `keys.rotate_every` says.
    rotate_every_s: Option<u32>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Service> for ServiceView {
    fn from(service: &Service) -> Self {
        Self {
            id: service.id.to_string(),
            alg: service.alg.as_str(),
            jws_alg: service.alg.jws_alg(),
            resource_uri: service.resource_uri.clone(),
            access_ttl_s: service.access_ttl_s,
            rotate_every_s: service.rotate_every_s,
            created_at: service.created_at,
        }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, ListQuery(page, pages): ListQuery) -> Result<Response, Problem> {
    let found = app.read(move |tx, _| tx.services(&page)).await?;
    let views = found.iter().map(ServiceView::from).collect();
    Ok(Json(pages.page(views, |service: &ServiceView| service.id.clone())?).into_response())
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = service_id(&id)?;
    let service = app.read(move |tx, _| tx.service(&id)).await?.ok_or_else(unknown)?;
    Ok(([etag(service.version)], Json(ServiceView::from(&service))).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewService)]
pub(super) struct New {
    id: String,
    alg: String,
    jws_alg: Option<String>,
    resource_uri: Option<String>,
    access_ttl_s: Option<u32>,
    /// How long a key signs before the next one takes over: 0 is for ever, null what `keys.rotate_every` says.
    rotate_every_s: Option<u32>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<New>,
) -> Result<Response, Problem> {
    let service = checked(body, app.key_schedule.max_age).map_err(Problem::invalid_fields)?;
    // Made before the transaction: RSA takes a while.
    let active = app.fresh_key(service.clone()).await?;
    let spare = app.fresh_key(service.clone()).await?;
    app.once_with_keys(once, wait, move |tx, env, actor| {
        let seq = services::create(tx, env, actor, &service, active, spare)?;
        Ok(Done::created(&ServiceView::from(&service))?.at(seq).version(service.version))
    })
    .await
}

/// All members are looked at, so that all errors are told at once.
fn checked(body: New, max_age: Duration) -> Result<Service, Vec<FieldError>> {
    let id = body.id.parse().map_err(|error| field("/id", &error));
    let alg = checked_alg(&body.alg, body.jws_alg.as_deref());
    let resource_uri = body.resource_uri.map(checked_uri).transpose();
    let access_ttl_s = body.access_ttl_s.map(checked_ttl).transpose();
    let rotate_every_s = body.rotate_every_s.map(|seconds| checked_rotation(seconds, max_age)).transpose();
    match (id, alg, resource_uri, access_ttl_s, rotate_every_s) {
        (Ok(id), Ok(alg), Ok(resource_uri), Ok(access_ttl_s), Ok(rotate_every_s)) => {
            let (created_at, version) = (env().now, 1);
            Ok(Service { id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at, version })
        }
        (id, alg, uri, ttl, rotation) => {
            let errors = [id.err(), alg.err(), uri.err(), ttl.err(), rotation.err()];
            Err(errors.into_iter().flatten().collect())
        }
    }
}

fn checked_alg(alg: &str, jws_alg: Option<&str>) -> Result<SigningAlg, FieldError> {
    let parsed: SigningAlg = alg.parse().map_err(|error| field("/alg", &error))?;
    match jws_alg {
        Some(wanted) if wanted != parsed.jws_alg() => {
            Err(field("/jws_alg", &format_args!("is {} for {parsed}", parsed.jws_alg())))
        }
        _ => Ok(parsed),
    }
}

/// RFC 8707 section 2: an absolute URI without a fragment.
fn checked_uri(text: String) -> Result<String, FieldError> {
    let is_fit = text.len() <= 2_000 && Url::parse(&text).is_ok_and(|uri| uri.fragment().is_none());
    if is_fit { Ok(text) } else { Err(field("/resource_uri", &"is an absolute URI without a fragment")) }
}

fn checked_ttl(seconds: u32) -> Result<u32, FieldError> {
    let most = MAX_ACCESS_TTL.as_secs();
    if (1..=most).contains(&u64::from(seconds)) {
        Ok(seconds)
    } else {
        Err(field("/access_ttl_s", &format_args!("is a number of seconds from 1 to {most}")))
    }
}

/// No faster than those who fetch key sets can follow.
fn checked_rotation(seconds: u32, max_age: Duration) -> Result<u32, FieldError> {
    let least = max_age.as_secs().max(1);
    if seconds == 0 || u64::from(seconds) >= least {
        return Ok(seconds);
    }
    let detail = format!("is 0, which is never, or a number of seconds from {least} (keys.jwks_max_age)");
    Err(field("/rotate_every_s", &detail))
}

fn field(pointer: &str, detail: &dyn std::fmt::Display) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }
}

/// A merge patch (RFC 7396): what is not there stays, `null` takes away. The algorithm stays: keys have it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ServiceChanges)]
pub(super) struct Changes {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    resource_uri: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    access_ttl_s: Option<Option<u32>>,
    /// How long a key signs before the next one takes over: 0 is for ever, null what `keys.rotate_every` says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    rotate_every_s: Option<Option<u32>>,
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    NeededIfMatch(expected): NeededIfMatch,
    wait: Wait,
    StrictJson(body): StrictJson<Changes>,
) -> Result<Response, Problem> {
    let id = service_id(&id)?;
    let one = |error| Problem::invalid_fields(vec![error]);
    let fit = |seconds| checked_rotation(seconds, app.key_schedule.max_age);
    let change = ServiceChange {
        resource_uri: body.resource_uri.map(|uri| uri.map(checked_uri).transpose()).transpose().map_err(one)?,
        access_ttl_s: body.access_ttl_s.map(|ttl| ttl.map(checked_ttl).transpose()).transpose().map_err(one)?,
        rotate_every_s: body.rotate_every_s.map(|every| every.map(fit).transpose()).transpose().map_err(one)?,
    };
    let (service, seq) = app.write(move |tx, env| services::change(tx, env, &actor, &id, change, &expected)).await?;
    let headers = [etag(service.version), app.enforce(seq, wait).await.header()];
    Ok((headers, Json(ServiceView::from(&service))).into_response())
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let id = service_id(&id)?;
    let seq = app.change_keys(move |tx, env| services::delete(tx, env, &actor, &id, &expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

fn service_id(text: &str) -> Result<ServiceId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("There is no such service.")
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Exists => {
                let problem = Problem::new(StatusCode::CONFLICT, "service-exists", "The id or the URI is taken");
                problem.detail("Another service has it, or had this id: ids are not given again.")
            }
            ServiceError::Unknown => unknown(),
            ServiceError::Changed => Problem::changed(),
            ServiceError::LastAdmin => Problem::last_admin(),
            ServiceError::Store(error) => error.into(),
        }
    }
}
