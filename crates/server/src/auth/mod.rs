//! `/auth/*`: JSON in, JSON out, for teams that want a few endpoints and no ceremony.

mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod register;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use propusk_core::id::ServiceId;
use propusk_core::roles::admin_role;
use propusk_verify::verifier::Verifier;

use crate::app::App;

pub(crate) use register::{checked_email, checked_password, checked_username};
pub(crate) use sessions::live as live_sessions;

/// The routes.
pub(crate) fn routes(verifier: &Verifier) -> Router<Arc<App>> {
    Router::new()
        .route("/auth/register", post(register::handle).layer(verifier.public()))
        .route("/auth/login", post(login::handle).layer(verifier.public()))
        .route("/auth/refresh", post(refresh::handle).layer(verifier.public()))
        .route("/auth/logout", post(logout::handle).layer(verifier.public()))
        .route("/auth/me", get(me::handle).layer(verifier.elite()))
        .route("/auth/password", post(password::handle).layer(verifier.elite()))
        .route("/auth/sessions", get(sessions::list).delete(sessions::end_all).layer(verifier.elite()))
        .route("/auth/sessions/{id}", delete(sessions::end_one).layer(verifier.elite()))
}

/// The default audience of these calls: the authority itself.
fn default_audience() -> ServiceId {
    admin_role().service
}
