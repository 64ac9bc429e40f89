//! `/keys/{aud}/…`: the public keys of one audience, as JWK Set and as PEM, for verifiers in any language.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use propusk_core::id::ServiceId;
use propusk_core::keys::PublicRing;
use propusk_verify::verifier::Verifier;
use serde_json::{Value, json};

use crate::api::{Api, get, says};
use crate::app::App;
use crate::error::Problem;

/// The routes; anybody may read public keys.
pub(crate) fn routes(verifier: &Verifier) -> Api {
    let jwk_set = "application/jwk-set+json";
    let jwks_of_one = says("The public keys of an audience").by_anybody().answers_as(200, jwk_set).or(&[404]);
    let pem_of_one =
        says("One public key of an audience").by_anybody().answers_as(200, "application/x-pem-file").or(&[404]);
    let of_people = says("The public keys of ID and logout tokens").by_anybody().answers_as(200, jwk_set);
    Api::new()
        .route("/keys/{aud}/jwks.json", get(jwks, jwks_of_one).guarded(verifier.public()))
        .route("/keys/{aud}/{pem}", get(pem, pem_of_one).guarded(verifier.public()))
        .route("/.well-known/jwks.json", get(identity_jwks, of_people).guarded(verifier.public()))
}

async fn jwks(State(app): State<Arc<App>>, Path(aud): Path<String>) -> Result<Response, Problem> {
    let ring = ring(&app, &aud)?;
    Ok(cacheable(&app, "application/jwk-set+json", ring.jwks))
}

/// `public.pem` is the key that signs now; `{kid}.pem` any of the ring.
async fn pem(State(app): State<Arc<App>>, Path((aud, file)): Path<(String, String)>) -> Result<Response, Problem> {
    let ring = ring(&app, &aud)?;
    let name = file.strip_suffix(".pem").ok_or_else(unknown_key)?;
    let kid = if name == "public" { ring.active.as_deref() } else { Some(name) };
    let pem = kid.and_then(|kid| ring.pems.get(kid)).ok_or_else(unknown_key)?;
    Ok(cacheable(&app, "application/x-pem-file", pem.clone()))
}

/// Keys that sign ID and logout tokens: none yet. Access-token keys are here only where the operator gave up their
/// isolation with `keys.publish_all`.
async fn identity_jwks(State(app): State<Arc<App>>) -> Response {
    let mut keys: Vec<Value> = Vec::new();
    if app.publish_all_keys {
        for ring in app.rings.load().values() {
            let set: Value = serde_json::from_str(&ring.jwks).unwrap_or_default();
            keys.extend(set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default());
        }
    }
    cacheable(&app, "application/jwk-set+json", json!({ "keys": keys }).to_string())
}

fn ring(app: &App, aud: &str) -> Result<PublicRing, Problem> {
    let unknown = || Problem::not_found("There is no such audience.");
    let id: ServiceId = aud.parse().map_err(|_| unknown())?;
    app.rings.load().get(&id).cloned().ok_or_else(unknown)
}

fn unknown_key() -> Problem {
    Problem::not_found("There is no such key: public.pem is the one that signs now.")
}

fn cacheable(app: &App, kind: &'static str, body: String) -> Response {
    let max_age = format!("public, max-age={}", app.key_schedule.max_age.as_secs());
    let max_age = HeaderValue::try_from(max_age).unwrap_or(HeaderValue::from_static("no-cache"));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, max_age)], body).into_response()
}
