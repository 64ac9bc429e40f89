//! `GET /admin/v1/users/{id}/why?permission=cars:delete`: by which ways a person has a permission.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use propusk_core::id::{Permission, ServiceId};
use propusk_core::roles::{self, Step};
use serde::{Deserialize, Serialize};

use super::users::{unknown, user_id};
use crate::app::App;
use crate::error::Problem;
use crate::extract::Queried;

#[derive(Deserialize)]
pub(super) struct Asked {
    permission: Option<String>,
    service: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Why)]
pub(super) struct Answer {
    user_id: String,
    username: String,
    permission: String,
    /// Where the permission counts.
    service: String,
    granted: bool,
    /// A disabled person has permissions, and no token to use them with.
    disabled: bool,
    paths: Vec<PathView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Way)]
pub(super) struct PathView {
    /// For people: `alice → group drivers → role cars/chief → role cars/admin → cars:delete`.
    text: String,
    steps: Vec<StepView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Step)]
pub(super) struct StepView {
    kind: &'static str,
    id: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Queried(asked): Queried<Asked>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let permission = asked.permission.ok_or_else(|| Problem::bad_request("permission is missing: which one?"))?;
    let permission: Permission = permission.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let service = service(&permission, asked.service.as_deref())?;
    let (for_whom, wanted, at) = (id.clone(), permission.clone(), service.clone());
    let (user, why) = app
        .read(move |tx, _| {
            let user = tx.user(&for_whom)?.ok_or_else(unknown)?;
            tx.service(&at)?.ok_or_else(|| Problem::not_found(format!("There is no service {at}.")))?;
            Ok::<_, Problem>((user, roles::why(tx, &for_whom, &wanted, Some(&at))?))
        })
        .await?;
    let paths: Vec<_> = why.ways.iter().map(|way| path_view(&user.username, way)).collect();
    let answer = Answer {
        user_id: id.to_string(),
        username: user.username,
        permission: permission.to_string(),
        service: service.to_string(),
        granted: !paths.is_empty(),
        disabled: user.disabled,
        paths,
    };
    Ok(Json(answer).into_response())
}

/// The one that is named, or the one that the permission begins with.
fn service(permission: &Permission, named: Option<&str>) -> Result<ServiceId, Problem> {
    let text = named.or_else(|| permission.as_str().split_once(':').map(|(service, _)| service));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Problem::bad_request("service is missing: at which one?"))
}

fn path_view(username: &str, way: &[Step]) -> PathView {
    let texts: Vec<String> = way
        .iter()
        .map(|step| match step {
            Step::User(_) => username.to_owned(),
            Step::Group(id) => format!("group {id}"),
            Step::Role(role) => format!("role {}/{}", role.service, role.role),
            Step::Permission(permission) => permission.to_string(),
        })
        .collect();
    PathView { text: texts.join(" → "), steps: way.iter().map(StepView::from).collect() }
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        let (kind, id) = match step {
            Step::User(id) => ("user", id.to_string()),
            Step::Group(id) => ("group", id.to_string()),
            Step::Role(role) => ("role", format!("{}/{}", role.service, role.role)),
            Step::Permission(permission) => ("permission", permission.to_string()),
        };
        Self { kind, id }
    }
}
