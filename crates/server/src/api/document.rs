//! The OpenAPI 3.1 document.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::DocumentedPath;

/// The document, as it is served.
#[derive(Clone)]
pub(crate) struct Document(Arc<str>);

/// `GET /admin/v1/openapi.json`.
pub(crate) async fn serve(Extension(Document(text)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.to_string()).into_response()
}

impl Document {
    pub(super) fn of(paths: Vec<DocumentedPath>) -> Self {
        let mut schemas = BTreeMap::from([("Problem".to_owned(), problem()), ("OAuthError".to_owned(), oauth_error())]);
        let mut items: BTreeMap<String, BTreeMap<&str, Value>> = BTreeMap::new();
        for DocumentedPath { path, operations } in paths {
            let mut item = BTreeMap::new();
            for (method, mut operation) in operations {
                schemas.append(&mut operation.schemas);
                item.insert(method, operation.render(method, &path));
            }
            items.entry(path).or_default().append(&mut item);
        }
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Propusk",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0 OR MIT" },
            },
            "paths": items,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                    "client_basic": { "type": "http", "scheme": "basic" },
                },
            },
        });
        Self(document.to_string().into())
    }
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": { "pointer": { "type": "string" }, "detail": { "type": "string" } },
                },
            },
        },
    })
}

/// RFC 6749 section 5.2.
fn oauth_error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": { "type": "string" }, "error_description": { "type": "string" } },
    })
}
