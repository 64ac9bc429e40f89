//! `/auth/sessions`: a person's own sessions, to see and to end.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::env::Timestamp;
use propusk_core::id::{SessionId, UserId};
use propusk_core::sessions;
use propusk_core::store::{LastUse, Page, Session};
use propusk_core::users;
use serde::Serialize;

use crate::app::App;
use crate::enforcement::Wait;
use crate::error::Problem;
use crate::extract::{List, ListQuery, Origin, Pages};
use crate::guard::Person;

/// A session as it is shown to its person and to administrators.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    pub(crate) id: String,
    user_id: String,
    client_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    address: Option<String>,
    user_agent: Option<String>,
}

impl SessionView {
    fn of(session: Session, last_use: LastUse) -> Self {
        Self {
            id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            client_id: session.client_id.to_string(),
            created_at: session.created_at,
            last_used_at: last_use.at,
            expires_at: last_use.idle_expires_at,
            address: session.origin.address,
            user_agent: session.origin.user_agent,
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    ListQuery(page, pages): ListQuery,
) -> Result<Json<List<SessionView>>, Problem> {
    live(&app, person.id, page, &pages).await.map(Json)
}

/// A page of somebody's sessions that have not run out.
pub(crate) async fn live(app: &App, user: UserId, page: Page, pages: &Pages) -> Result<List<SessionView>, Problem> {
    let found = app.read(move |tx, env| Ok::<_, Problem>((tx.sessions_of(&user, &page)?, env.now))).await?;
    let (sessions, now) = found;
    let next = pages.page(sessions, |(session, _)| session.id.to_string())?;
    let live = next.items.into_iter().filter(|(_, last_use)| last_use.idle_expires_at > now);
    let items = live.map(|(session, last_use)| SessionView::of(session, last_use)).collect();
    Ok(List { items, next_cursor: next.next_cursor })
}

pub(super) async fn end_one(
    State(app): State<Arc<App>>,
    person: Person,
    origin: Origin,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("You have no such session.");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    let actor = origin.actor(person.id.to_string());
    let seq = app
        .write(move |tx, env| {
            let is_own = tx.session(&id)?.is_some_and(|session| session.user_id == person.id);
            if is_own { sessions::end(tx, env, &actor, "session_ended", &id) } else { Ok(None) }
        })
        .await
        .map_err(|error: propusk_core::store::StoreError| Problem::from(error))?;
    let seq = seq.ok_or_else(unknown)?;
    Ok(app.enforce(seq, wait).await.into_response())
}

pub(super) async fn end_all(
    State(app): State<Arc<App>>,
    person: Person,
    origin: Origin,
    wait: Wait,
) -> Result<Response, Problem> {
    let actor = origin.actor(person.id.to_string());
    let seq = app.write(move |tx, env| users::sign_out_everywhere(tx, env, &actor, &person.id)).await?;
    Ok(app.enforce(seq, wait).await.into_response())
}
