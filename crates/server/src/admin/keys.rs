//! `GET /admin/v1/services/{id}/keys`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::env::Timestamp;
use propusk_core::id::ServiceId;
use propusk_core::store::SealedKey;
use serde::Serialize;

use crate::app::App;
use crate::error::Problem;
use crate::extract::List;

#[derive(Serialize)]
struct KeyView {
    kid: String,
    alg: &'static str,
    state: &'static str,
    created_at: Timestamp,
    activates_at: Option<Timestamp>,
    gone_at: Option<Timestamp>,
}

impl From<SealedKey> for KeyView {
    fn from(key: SealedKey) -> Self {
        Self {
            kid: key.kid.to_string(),
            alg: key.alg.as_str(),
            state: key.state.as_str(),
            created_at: key.created_at,
            activates_at: key.activated_at,
            gone_at: None,
        }
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("There is no such service.");
    let service: ServiceId = id.parse().map_err(|_| unknown())?;
    let keys = app
        .read(move |tx, _| {
            tx.service(&service)?.ok_or_else(unknown)?;
            Ok::<_, Problem>(tx.keys_of(&service)?)
        })
        .await?;
    let items = keys.into_iter().map(KeyView::from).collect();
    Ok(Json(List { items, next_cursor: None }).into_response())
}
