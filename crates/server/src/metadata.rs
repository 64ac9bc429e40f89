//! Discovery: `/.well-known/oauth-authorization-server` (RFC 8414) and `/.well-known/openid-configuration`.
//!
//! Only what is there is told. There is no authorization endpoint, so there are no response types; every default of
//! RFC 8414 that would claim more is spelled out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use propusk_core::store::GrantType;
use propusk_verify::verifier::Verifier;
use serde_json::{Value, json};

use crate::api::{Api, get, says};
use crate::app::App;

/// The routes; anybody may read them.
pub(crate) fn routes(verifier: &Verifier) -> Api {
    let described = || says("What clients have to know").by_anybody().answers_as(200, "application/json");
    Api::new()
        .route("/.well-known/oauth-authorization-server", get(handle, described()).guarded(verifier.public()))
        .route("/.well-known/openid-configuration", get(handle, described()).guarded(verifier.public()))
}

async fn handle(State(app): State<Arc<App>>) -> Json<Value> {
    let issuer = app.settings.issuer.trim_end_matches('/');
    let methods = ["client_secret_basic", "client_secret_post"];
    Json(json!({
        "issuer": app.settings.issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": [],
    }))
}
