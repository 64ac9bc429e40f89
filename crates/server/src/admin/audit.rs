//! `GET /admin/v1/audit`: newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use propusk_core::env::Timestamp;
use propusk_core::store::{AuditFilter, StoreError, StoredAuditEntry};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::Problem;
use crate::extract::{ListQuery, Queried};

#[derive(Deserialize)]
pub(super) struct Filter {
    subject: Option<String>,
    actor: Option<String>,
    service: Option<String>,
    action: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct EntryView {
    n: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    service: Option<String>,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    request_id: String,
}

impl From<StoredAuditEntry> for EntryView {
    fn from(entry: StoredAuditEntry) -> Self {
        Self {
            n: entry.n,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            service: entry.service,
            outcome: entry.outcome,
            jti: entry.jti,
            kid: entry.kid,
            request_id: entry.request_id,
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Queried(filter): Queried<Filter>,
    ListQuery(page, pages): ListQuery,
) -> Result<Response, Problem> {
    let before = match page.after {
        Some(n) => Some(n.parse::<u64>().map_err(StoreError::failed)?),
        None => None,
    };
    let Filter { subject, actor, service, action } = filter;
    let filter = AuditFilter { subject, actor, service, action };
    let entries = app.read(move |tx, _| tx.audit_entries(&filter, before, page.limit)).await?;
    let views = entries.into_iter().map(EntryView::from).collect();
    Ok(Json(pages.page(views, |entry: &EntryView| entry.n.to_string())?).into_response())
}
