//! `/oauth/*`: form in; errors by RFC 6749 section 5.2.

mod client_auth;
mod error;
mod form;
mod introspect;
mod revoke;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use propusk_verify::verifier::Verifier;

use crate::app::App;

/// The routes. They authenticate clients, not bearer tokens.
pub(crate) fn routes(verifier: &Verifier) -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/token", post(token::handle).layer(verifier.public()))
        .route("/oauth/introspect", post(introspect::handle).layer(verifier.public()))
        .route("/oauth/revoke", post(revoke::handle).layer(verifier.public()))
}
