//! `/admin/v1/*`: bearer token for audience `propusk` with permission `propusk:*`; every call is elite.

mod audit;
mod clients;
mod keys;
mod roles;
mod sessions;
mod tokens;
mod users;
mod verifiers;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use propusk_verify::verifier::Verifier;

use crate::app::App;

/// What the whole of the admin API demands.
const PERMISSION: &str = "propusk:*";

/// The routes.
pub(crate) fn routes(verifier: &Verifier) -> Router<Arc<App>> {
    let v1 = Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", get(users::show))
        .route("/users/{id}/disable", post(users::disable))
        .route("/users/{id}/enable", post(users::enable))
        .route("/users/{id}/password", put(users::set_password))
        .route("/users/{id}/sessions", delete(users::end_sessions))
        .route("/users/{id}/roles", get(roles::of_user))
        .route("/users/{id}/roles/{service}/{role}", put(roles::give_user).delete(roles::take_user))
        .route("/clients/{id}/disable", post(clients::disable))
        .route("/clients/{id}/enable", post(clients::enable))
        .route("/clients/{id}/roles/{service}/{role}", put(roles::give_client).delete(roles::take_client))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/tokens/revoke", post(tokens::revoke))
        .route("/services/{id}/keys", get(keys::list))
        .route("/services/{id}/roles", get(roles::of_service))
        .route("/services/{service}/roles/{role}", put(roles::put))
        .route("/verifiers", get(verifiers::list))
        .route("/audit", get(audit::list));
    Router::new().nest("/admin/v1", v1).layer(verifier.elite().permission(PERMISSION))
}
