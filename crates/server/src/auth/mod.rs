//! `/auth/*`: JSON in, JSON out, for teams that want a few endpoints and no ceremony.

mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod register;
mod sessions;

use propusk_core::id::ServiceId;
use propusk_core::roles::admin_role;
use propusk_verify::verifier::Verifier;

use crate::api::{Api, delete, get, post, says};
use crate::tokens::TokenAnswer;

pub(crate) use register::{checked_email, checked_password, checked_username};
pub(crate) use sessions::{SessionView, live as live_sessions};

/// The routes.
pub(crate) fn routes(verifier: &Verifier) -> Api {
    let register =
        says("Register").by_anybody().takes::<register::Body>().answers::<register::Answer>(201).or(&[409, 422]);
    let login = says("Sign in").by_anybody().takes::<login::Body>().answers::<TokenAnswer>(200).or(&[401, 429]);
    let refresh = says("Get fresh tokens").by_anybody().takes::<refresh::Body>().answers::<TokenAnswer>(200).or(&[401]);
    let logout = says("Sign out, by a bearer token or by a refresh token").may_take::<logout::Body>();
    let logout = logout.by_bearer_or_body().waits();
    let password = says("Change one's own password").takes::<password::Body>().changes().or(&[404, 422, 429]);
    Api::new()
        .route("/auth/register", post(register::handle, register).guarded(verifier.public()))
        .route("/auth/login", post(login::handle, login).guarded(verifier.public()))
        .route("/auth/refresh", post(refresh::handle, refresh).guarded(verifier.public()))
        .route("/auth/logout", post(logout::handle, logout.answers_empty(204).tells(&[204])).guarded(verifier.public()))
        .route(
            "/auth/me",
            get(me::handle, says("Tell who one is").answers::<me::Me>(200).or(&[404])).guarded(verifier.elite()),
        )
        .route("/auth/password", post(password::handle, password).guarded(verifier.elite()))
        .route(
            "/auth/sessions",
            get(sessions::list, says("List one's own sessions").answers_page::<SessionView>())
                .delete(sessions::end_all, says("Sign out everywhere").changes().or(&[404]))
                .guarded(verifier.elite()),
        )
        .route(
            "/auth/sessions/{id}",
            delete(sessions::end_one, says("End one of one's own sessions").changes().or(&[404]))
                .guarded(verifier.elite()),
        )
}

/// The default audience of these calls: the authority itself.
fn default_audience() -> ServiceId {
    admin_role().service
}
