//! `/admin/v1/*`: bearer token for audience `propusk` with permission `propusk:*`; every call is elite.

mod audit;
mod clients;
mod exchange_rules;
mod groups;
mod keys;
mod once;
mod patch;
mod roles;
mod services;
mod sessions;
mod tokens;
mod users;
mod verifiers;
mod version;
mod why;

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
        .route("/users/{id}", get(users::show).patch(users::change).delete(users::delete))
        .route("/users/{id}/disable", post(users::disable))
        .route("/users/{id}/enable", post(users::enable))
        .route("/users/{id}/password", put(users::set_password))
        .route("/users/{id}/sessions", delete(users::end_sessions))
        .route("/users/{id}/why", get(why::show))
        .route("/users/{id}/roles", get(roles::of_user))
        .route("/users/{id}/roles/{service}/{role}", put(roles::give_user).delete(roles::take_user))
        .route("/clients", get(clients::list).post(clients::create))
        .route("/clients/{id}", get(clients::show).patch(clients::change).delete(clients::delete))
        .route("/clients/{id}/secret", post(clients::new_secret))
        .route("/clients/{id}/revoke-tokens", post(clients::revoke_tokens))
        .route("/clients/{id}/disable", post(clients::disable))
        .route("/clients/{id}/enable", post(clients::enable))
        .route("/clients/{id}/roles/{service}/{role}", put(roles::give_client).delete(roles::take_client))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/tokens/revoke", post(tokens::revoke))
        .route("/services", get(services::list).post(services::create))
        .route("/services/{id}", get(services::show).patch(services::change).delete(services::delete))
        .route("/exchange-rules/{actor_client}/{audience}", put(exchange_rules::put).delete(exchange_rules::delete))
        .route("/services/{id}/keys", get(keys::list))
        .route("/services/{id}/keys/rotate", post(keys::rotate))
        .route("/keys/{kid}/revoke", post(keys::revoke))
        .route("/services/{id}/roles", get(roles::of_service))
        .route("/services/{service}/roles/{role}", get(roles::show).put(roles::put).delete(roles::delete))
        .route("/services/{service}/roles/{role}/permissions/{permission}", put(roles::permit).delete(roles::forbid))
        .route("/groups", get(groups::list).post(groups::create))
        .route("/groups/{id}", get(groups::show).delete(groups::delete))
        .route("/groups/{id}/members", get(groups::members))
        .route("/groups/{id}/members/{user_id}", put(groups::add_member).delete(groups::remove_member))
        .route("/groups/{id}/roles/{service}/{role}", put(roles::give_group).delete(roles::take_group))
        .route("/verifiers", get(verifiers::list))
        .route("/audit", get(audit::list));
    Router::new().nest("/admin/v1", v1).layer(verifier.elite().permission(PERMISSION))
}
