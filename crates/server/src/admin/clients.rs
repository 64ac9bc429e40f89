//! `/admin/v1/clients`: the members are named as in RFC 7591.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use propusk_core::clients::{self, ClientChangeError};
use propusk_core::env::Timestamp;
use propusk_core::id::{ClientId, ServiceId};
use propusk_core::registration::{self, ClientChange, NewClient};
use propusk_core::store::{AuthMethod, Client, GrantType, Holder};
use serde::{Deserialize, Serialize};
use url::Url;

use super::once::{Done, Once, OnceJson};
use super::roles::HeldRole;
use super::version::{IfMatch, NeededIfMatch, etag};
use crate::app::App;
use crate::enforcement::Wait;
use crate::error::{FieldError, Problem};
use crate::extract::{ListQuery, StrictJson};
use crate::guard::Caller;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Client)]
pub(super) struct ClientView {
    client_id: String,
    client_name: String,
    grant_types: Vec<&'static str>,
    token_endpoint_auth_method: &'static str,
    redirect_uris: Vec<String>,
    audiences: Vec<String>,
    first_party: bool,
    disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Client> for ClientView {
    fn from(client: &Client) -> Self {
        Self {
            client_id: client.id.to_string(),
            client_name: client.name.clone(),
            grant_types: client.grant_types.iter().map(|grant| grant.as_str()).collect(),
            token_endpoint_auth_method: client.auth_method.as_str(),
            redirect_uris: client.redirect_uris.clone(),
            audiences: client.audiences.iter().map(ToString::to_string).collect(),
            first_party: client.first_party,
            disabled: client.disabled,
            created_at: client.created_at,
        }
    }
}

/// With what it was given.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WholeClient)]
pub(super) struct WholeClientView {
    #[serde(flatten)]
    client: ClientView,
    roles: Vec<HeldRole>,
}

/// With its secret: once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RegisteredClient)]
pub(super) struct RegisteredView {
    #[serde(flatten)]
    client: ClientView,
    client_secret: String,
    /// RFC 7591 section 3.2.1: never.
    client_secret_expires_at: u64,
}

pub(super) async fn list(State(app): State<Arc<App>>, ListQuery(page, pages): ListQuery) -> Result<Response, Problem> {
    let found = app.read(move |tx, _| tx.clients(&page)).await?;
    let views = found.iter().map(ClientView::from).collect();
    Ok(Json(pages.page(views, |client: &ClientView| client.client_id.clone())?).into_response())
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = client_id(&id)?;
    let (client, roles) = app
        .read(move |tx, _| {
            let client = tx.client(&id)?.ok_or_else(unknown)?;
            Ok::<_, Problem>((client, tx.roles_of_holder(&Holder::Client(id))?))
        })
        .await?;
    let roles = roles.into_iter().map(HeldRole::from).collect();
    let view = WholeClientView { client: ClientView::from(&client), roles };
    Ok(([etag(client.version)], Json(view)).into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewClient)]
pub(super) struct New {
    client_id: Option<String>,
    client_name: String,
    grant_types: Vec<String>,
    token_endpoint_auth_method: String,
    #[serde(default)]
    redirect_uris: Vec<String>,
    audiences: Vec<String>,
    #[serde(default)]
    first_party: bool,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    wait: Wait,
    OnceJson(once, body): OnceJson<New>,
) -> Result<Response, Problem> {
    let mut errors = Vec::new();
    let id =
        kept(&mut errors, body.client_id.map(|text| text.parse().map_err(|e| field("/client_id", &e))).transpose());
    let name = kept(&mut errors, checked_name(body.client_name));
    let grant_types = kept(&mut errors, checked_grants(&body.grant_types));
    let auth_method = kept(&mut errors, checked_method(&body.token_endpoint_auth_method));
    let redirect_uris = kept(&mut errors, checked_uris(body.redirect_uris));
    let audiences = kept(&mut errors, checked_audiences(&body.audiences));
    let (Some(id), Some(name), Some(grant_types), Some(auth_method), Some(redirect_uris), Some(audiences)) =
        (id, name, grant_types, auth_method, redirect_uris, audiences)
    else {
        return Err(Problem::invalid_fields(errors));
    };
    let first_party = body.first_party;
    let new = NewClient { id, name, grant_types, auth_method, redirect_uris, audiences, first_party };
    app.once(once, wait, move |tx, env, actor| {
        let (client, secret) = registration::create(tx, env, actor, new)?;
        let view = RegisteredView {
            client: ClientView::from(&client),
            client_secret: secret.expose().to_owned(),
            client_secret_expires_at: 0,
        };
        Ok(Done::created(&view)?.version(client.version))
    })
    .await
}

/// A merge patch (RFC 7396): what is not there stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientChanges)]
pub(super) struct Changes {
    client_name: Option<String>,
    grant_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    first_party: Option<bool>,
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    NeededIfMatch(expected): NeededIfMatch,
    wait: Wait,
    StrictJson(body): StrictJson<Changes>,
) -> Result<Response, Problem> {
    let id = client_id(&id)?;
    let mut errors = Vec::new();
    let method = body.token_endpoint_auth_method.as_deref();
    let change = ClientChange {
        name: kept(&mut errors, body.client_name.map(checked_name).transpose()).flatten(),
        grant_types: kept(&mut errors, body.grant_types.as_deref().map(checked_grants).transpose()).flatten(),
        auth_method: kept(&mut errors, method.map(checked_method).transpose()).flatten(),
        redirect_uris: kept(&mut errors, body.redirect_uris.map(checked_uris).transpose()).flatten(),
        audiences: kept(&mut errors, body.audiences.as_deref().map(checked_audiences).transpose()).flatten(),
        first_party: body.first_party,
    };
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    let (client, seq) = app.write(move |tx, env| registration::change(tx, env, &actor, &id, change, &expected)).await?;
    let headers = [etag(client.version), app.enforce(seq, wait).await.header()];
    Ok((headers, Json(ClientView::from(&client))).into_response())
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    wait: Wait,
) -> Result<Response, Problem> {
    let id = client_id(&id)?;
    let seq = app.write(move |tx, env| clients::delete(tx, env, &actor, &id, &expected)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Overlap {
    /// Seconds for which the secret before is good; without it, it ends at once.
    #[serde(default)]
    overlap_s: u64,
}

/// A week: for as long may two secrets be good.
const MAX_OVERLAP_S: u64 = 7 * 24 * 3600;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NewSecret)]
pub(super) struct SecretView {
    client_id: String,
    client_secret: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    previous_valid_until: Option<Timestamp>,
}

pub(super) async fn new_secret(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    wait: Wait,
    OnceJson(once, body): OnceJson<Overlap>,
) -> Result<Response, Problem> {
    let id = client_id(&id)?;
    if body.overlap_s > MAX_OVERLAP_S {
        return Err(Problem::invalid_field("/overlap_s", format!("is at most {MAX_OVERLAP_S}")));
    }
    let overlap = Duration::from_secs(body.overlap_s);
    app.once(once, wait, move |tx, env, actor| {
        let new = registration::new_secret(tx, env, actor, &id, overlap)?;
        let view = SecretView {
            client_id: id.to_string(),
            client_secret: new.secret.expose().to_owned(),
            previous_valid_until: (!overlap.is_zero()).then_some(new.previous_until),
        };
        Ok(Done::created(&view)?.at(new.seq))
    })
    .await
}

macro_rules! actions {
    ($($name:ident: $operation:path;)*) => {$(
        pub(super) async fn $name(
            State(app): State<Arc<App>>,
            Path(id): Path<String>,
            wait: Wait,
            once: Once,
        ) -> Result<Response, Problem> {
            let id = client_id(&id)?;
            app.once(once, wait, move |tx, env, actor| Ok(Done::changed($operation(tx, env, actor, &id)?))).await
        }
    )*};
}

actions! {
    disable: clients::disable;
    enable: clients::enable;
    revoke_tokens: clients::revoke_tokens;
}

fn checked_name(text: String) -> Result<String, FieldError> {
    let is_fit = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_fit { Ok(text) } else { Err(field("/client_name", &"has 1 to 200 characters, none of them a control")) }
}

fn checked_grants(texts: &[String]) -> Result<Vec<GrantType>, FieldError> {
    let known = GrantType::ALL.map(GrantType::as_str).join(", ");
    each("/grant_types", texts, |text| text.parse().map_err(|_| format!("is one of {known}")))
}

fn checked_method(text: &str) -> Result<AuthMethod, FieldError> {
    let known = AuthMethod::ALL.map(AuthMethod::as_str).join(" or ");
    AuthMethod::from_text(text).ok_or_else(|| field("/token_endpoint_auth_method", &format_args!("is {known}")))
}

fn checked_audiences(texts: &[String]) -> Result<Vec<ServiceId>, FieldError> {
    each("/audiences", texts, |text| text.parse().map_err(|error| format!("{error}")))
}

/// RFC 9700 section 2.1 and RFC 8252 section 7.3: https, or http to this machine; no fragment.
fn checked_uris(texts: Vec<String>) -> Result<Vec<String>, FieldError> {
    let is_fit = |text: &String| {
        text.len() <= 2_000
            && Url::parse(text).is_ok_and(|uri| {
                let is_loopback = matches!(uri.host_str(), Some("127.0.0.1" | "[::1]"));
                uri.fragment().is_none() && (uri.scheme() == "https" || (uri.scheme() == "http" && is_loopback))
            })
    };
    let wrong = "is an https address, or an http one of 127.0.0.1 or [::1], without a fragment";
    each("/redirect_uris", &texts, |text| if is_fit(text) { Ok(text.clone()) } else { Err(wrong.to_owned()) })
}

fn each<T>(
    pointer: &str,
    texts: &[String],
    check: impl Fn(&String) -> Result<T, String>,
) -> Result<Vec<T>, FieldError> {
    let checked = |(n, text)| check(text).map_err(|detail| field(&format!("{pointer}/{n}"), &detail));
    texts.iter().enumerate().map(checked).collect()
}

/// What was right; what was wrong goes to the errors, so that all are told at once.
fn kept<T>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

fn field(pointer: &str, detail: &dyn std::fmt::Display) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.to_string() }
}

pub(super) fn client_id(text: &str) -> Result<ClientId, Problem> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found("There is no such client.")
}

impl From<ClientChangeError> for Problem {
    fn from(error: ClientChangeError) -> Self {
        match error {
            ClientChangeError::Unknown => unknown(),
            ClientChangeError::Taken => {
                let problem = Problem::new(StatusCode::CONFLICT, "client-exists", "The client id is taken");
                problem.detail("Another client has this id, or had it: ids are not given again.")
            }
            ClientChangeError::BuiltIn => {
                Problem::new(StatusCode::CONFLICT, "built-in", "This client is a part of the authority")
            }
            ClientChangeError::UnknownAudience(_) => Problem::invalid_field("/audiences", error.to_string()),
            ClientChangeError::Changed => Problem::changed(),
            ClientChangeError::LastAdmin => Problem::last_admin(),
            ClientChangeError::Store(error) => error.into(),
        }
    }
}
