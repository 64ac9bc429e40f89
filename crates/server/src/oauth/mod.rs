//! `/oauth/*`: form in; errors by RFC 6749 section 5.2.

mod client_auth;
mod error;
mod form;
mod introspect;
mod revoke;
mod token;

use propusk_verify::verifier::Verifier;

use crate::api::{Api, post, says};
use crate::tokens::TokenAnswer;

const CREDENTIALS: [(&str, bool); 2] = [("client_id", false), ("client_secret", false)];

/// The routes. They authenticate clients, not bearer tokens.
pub(crate) fn routes(verifier: &Verifier) -> Api {
    let token = [
        ("grant_type", true),
        ("audience", false),
        ("resource", false),
        ("username", false),
        ("password", false),
        ("refresh_token", false),
        ("subject_token", false),
        ("subject_token_type", false),
        ("requested_token_type", false),
    ];
    let token = says("Get a token").takes_form(&[&token[..], &CREDENTIALS].concat()).by_client();
    let about_one = [&[("token", true), ("token_type_hint", false)][..], &CREDENTIALS].concat();
    let introspect = says("Ask about a token").takes_form(&about_one).by_client().answers_as(200, "application/json");
    let revoke = says("Revoke a token").takes_form(&about_one).by_client().answers_empty(200).tells(&[200]);
    Api::new()
        .route("/oauth/token", post(token::handle, token.answers::<TokenAnswer>(200)).guarded(verifier.public()))
        .route("/oauth/introspect", post(introspect::handle, introspect).guarded(verifier.public()))
        .route("/oauth/revoke", post(revoke::handle, revoke).guarded(verifier.public()))
}
