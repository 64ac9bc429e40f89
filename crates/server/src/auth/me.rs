//! `GET /auth/me`: who the caller is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use propusk_core::env::Timestamp;
use propusk_core::id::{SessionId, Subject};
use propusk_core::roles;
use propusk_core::store::{StoreError, Tx};
use propusk_verify::axum::EliteProof;
use serde::Serialize;

use crate::app::App;
use crate::error::Problem;

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Me {
    id: String,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    roles: BTreeMap<String, Vec<String>>,
    session: Option<OwnSession>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct OwnSession {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

pub(super) async fn handle(State(app): State<Arc<App>>, proof: EliteProof) -> Result<Json<Me>, Problem> {
    let claims = proof.permit().claims();
    let (sub, sid) = (claims.sub.clone(), claims.sid.clone());
    let me = app.read(move |tx, _| read_me(tx, &sub, sid.as_deref())).await?;
    me.map(Json).ok_or_else(|| Problem::not_found("There is no such person any more."))
}

fn read_me(tx: &dyn Tx, sub: &str, sid: Option<&str>) -> Result<Option<Me>, StoreError> {
    let Ok(subject) = sub.parse::<Subject>() else { return Ok(None) };
    let (username, email) = match &subject {
        Subject::User(id) => match tx.user(id)? {
            Some(user) => (user.username, user.email),
            None => return Ok(None),
        },
        Subject::Client(id) => (id.to_string(), None),
    };
    let mut by_service: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for grant in roles::held(tx, &subject)? {
        by_service.entry(grant.service.to_string()).or_default().push(grant.role.to_string());
    }
    let session = match sid.and_then(|sid| sid.parse::<SessionId>().ok()) {
        Some(sid) => own_session(tx, &sid)?,
        None => None,
    };
    Ok(Some(Me { id: sub.to_owned(), username, email, roles: by_service, session }))
}

fn own_session(tx: &dyn Tx, id: &SessionId) -> Result<Option<OwnSession>, StoreError> {
    let (Some(session), Some(newest)) = (tx.session(id)?, tx.newest_refresh_token(id)?) else { return Ok(None) };
    Ok(Some(OwnSession {
        id: id.to_string(),
        created_at: session.created_at,
        last_used_at: newest.last_use.at,
        expires_at: newest.last_use.idle_expires_at,
    }))
}
