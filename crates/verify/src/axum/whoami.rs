//! How a service sees its caller.

use axum::Json;
use serde::Serialize;

use super::extract::Caller;
use crate::token::Act;

/// The answer of [`whoami`].
#[derive(Debug, Serialize)]
pub struct Whoami {
    sub: String,
    client_id: String,
    aud: String,
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
    jti: String,
    class: String,
    by: String,
    seq: u64,
    age_ms: u64,
}

/// A handler that tells callers how they are seen, and how that was decided.
pub async fn whoami(caller: Caller) -> Json<Whoami> {
    let claims = caller.claims();
    let report = caller.report();
    Json(Whoami {
        sub: claims.sub.clone(),
        client_id: claims.client_id.clone(),
        aud: claims.aud.clone(),
        roles: caller.roles().to_vec(),
        act: claims.act.clone(),
        jti: claims.jti.clone(),
        class: report.class.to_string(),
        by: report.by.to_string(),
        seq: report.as_of_seq,
        age_ms: report.age_ms,
    })
}
