//! `/admin/v1/exchange-rules/{actor_client}/{audience}`: who may exchange which tokens for which.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::exchange_rules::{self, ExchangeRuleError};
use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{ExchangeRule, SubjectKind};
use serde::Deserialize;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::StrictJson;
use crate::guard::Caller;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExchangeRule)]
pub(super) struct Body {
    /// Whose tokens: `user`, `client`.
    subjects: Vec<String>,
    /// The audiences of the tokens that are exchanged.
    from: Vec<String>,
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((client, audience)): Path<(String, String)>,
    wait: Wait,
    StrictJson(body): StrictJson<Body>,
) -> Result<Response, Problem> {
    let (client, audience) = parsed(&client, &audience)?;
    let mut subjects = Vec::new();
    for (n, text) in body.subjects.iter().enumerate() {
        let unknown = || Problem::invalid_field(&format!("/subjects/{n}"), "is user or client");
        subjects.push(SubjectKind::from_text(text).ok_or_else(unknown)?);
    }
    let mut from = Vec::new();
    for (n, text) in body.from.iter().enumerate() {
        let invalid = |error| Problem::invalid_field(&format!("/from/{n}"), format!("{error}"));
        from.push(text.parse::<ServiceId>().map_err(invalid)?);
    }
    let rule = ExchangeRule { actor: client, audience, subjects, from };
    let seq = app.write(move |tx, env| exchange_rules::put(tx, env, &actor, &rule)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Path((client, audience)): Path<(String, String)>,
    wait: Wait,
) -> Result<Response, Problem> {
    let (client, audience) = parsed(&client, &audience)?;
    let seq = app.write(move |tx, env| exchange_rules::delete(tx, env, &actor, &client, &audience)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}

fn parsed(client: &str, audience: &str) -> Result<(ClientId, ServiceId), Problem> {
    match (client.parse(), audience.parse()) {
        (Ok(client), Ok(audience)) => Ok((client, audience)),
        _ => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::not_found("There is no such client, service or rule.")
}

impl From<ExchangeRuleError> for Problem {
    fn from(error: ExchangeRuleError) -> Self {
        match error {
            ExchangeRuleError::UnknownActor | ExchangeRuleError::Unknown => unknown(),
            ExchangeRuleError::UnknownService(id) => Problem::not_found(format!("There is no service {id}.")),
            ExchangeRuleError::Store(error) => error.into(),
        }
    }
}
