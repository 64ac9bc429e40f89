//! What is written about one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::enforcement::Enforcement;

/// A call as the document describes it.
pub(crate) struct Operation {
    summary: &'static str,
    security: Security,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    pub(super) schemas: BTreeMap<String, Value>,
}

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    Bearer,
    /// By a bearer token, or by what is in the body.
    BearerOrBody,
    Client,
    Anybody,
}

/// A call in a few words. Unless it is told otherwise, it demands a bearer token.
pub(crate) fn says(summary: &'static str) -> Operation {
    let new = Operation {
        summary,
        security: Security::Bearer,
        parameters: Vec::new(),
        body: None,
        answers: BTreeMap::new(),
        schemas: BTreeMap::new(),
    };
    // 400: a parameter that it does not take.
    new.or(&[400, 401, 403, 500, 503])
}

impl Operation {
    /// Nobody has to authenticate, or does it in the body.
    pub(crate) fn by_anybody(mut self) -> Self {
        self.security = Security::Anybody;
        self.answers.retain(|status, _| !matches!(status, 400 | 401 | 403));
        self
    }

    /// A bearer token, or a credential in the body.
    pub(crate) fn by_bearer_or_body(mut self) -> Self {
        self.security = Security::BearerOrBody;
        self
    }

    /// A client authenticates; errors are those of RFC 6749.
    pub(crate) fn by_client(mut self) -> Self {
        self.security = Security::Client;
        self.answers.clear();
        for status in [400, 401, 413, 429, 500, 503] {
            self.answers.insert(status, answer(status, "application/json", &oauth_error()));
        }
        self
    }

    /// A JSON body.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        let content = json!({ "application/json": { "schema": self.reference::<T>() } });
        self.body = Some(json!({ "required": true, "content": content }));
        self.or(&[400, 413, 415])
    }

    /// A JSON body, or none.
    pub(crate) fn may_take<T: ToSchema>(mut self) -> Self {
        let content = json!({ "application/json": { "schema": self.reference::<T>() } });
        self.body = Some(json!({ "required": false, "content": content }));
        self.or(&[400, 413])
    }

    /// A form; each member is a text, and those that are marked are needed.
    pub(crate) fn takes_form(mut self, members: &[(&str, bool)]) -> Self {
        let properties: Map<_, _> =
            members.iter().map(|(name, _)| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        let needed: Vec<_> = members.iter().filter(|(_, is_needed)| *is_needed).map(|(name, _)| *name).collect();
        let schema = json!({ "type": "object", "properties": properties, "required": needed });
        let content = json!({ "application/x-www-form-urlencoded": { "schema": schema } });
        self.body = Some(json!({ "required": true, "content": content }));
        self
    }

    /// An answer with a body.
    pub(crate) fn answers<T: ToSchema>(mut self, status: u16) -> Self {
        let schema = self.reference::<T>();
        self.answers.insert(status, answer(status, "application/json", &schema));
        self
    }

    /// An answer with a body of whatever form.
    pub(crate) fn answers_as(mut self, status: u16, kind: &str) -> Self {
        let schema = if kind.ends_with("json") { json!({ "type": "object" }) } else { json!({ "type": "string" }) };
        self.answers.insert(status, answer(status, kind, &schema));
        self
    }

    /// An answer with a body of bytes.
    pub(crate) fn answers_binary(mut self, status: u16, kind: &str) -> Self {
        self.answers.insert(status, answer(status, kind, &json!({ "type": "string", "format": "binary" })));
        self
    }

    /// An answer without a body.
    pub(crate) fn answers_empty(mut self, status: u16) -> Self {
        self.answers.insert(status, json!({ "description": meaning(status) }));
        self
    }

    /// A list, a page at a time.
    pub(crate) fn answers_page<T: ToSchema>(mut self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
        self.parameters.push(parameter("query", "cursor", false, json!({ "type": "string" })));
        self.parameters.push(parameter("query", "limit", false, limit));
        let schema = json!({
            "type": "object",
            "required": ["items", "next_cursor"],
            "properties": {
                "items": { "type": "array", "items": self.reference::<T>() },
                "next_cursor": { "type": ["string", "null"] },
            },
        });
        self.answers.insert(200, answer(200, "application/json", &schema));
        self.or(&[400])
    }

    /// A parameter of the query.
    pub(crate) fn asks(mut self, name: &str, is_needed: bool) -> Self {
        self.parameters.push(parameter("query", name, is_needed, json!({ "type": "string" })));
        self.or(&[400])
    }

    /// It may append to the log: it waits as it is told, and how far it got is the body.
    pub(crate) fn changes(self) -> Self {
        self.waits().answers::<Enforcement>(200).answers::<Enforcement>(202).tells(&[200, 202])
    }

    /// It may append to the log: it waits as it is told, and how far it got is in a header of what it answers.
    pub(crate) fn waits(mut self) -> Self {
        let wanted = json!({ "type": "string", "enum": ["enforced", "committed"], "default": "enforced" });
        let limit = json!({ "type": "integer", "minimum": 0, "maximum": 60_000 });
        self.parameters.push(parameter("query", "wait", false, wanted));
        self.parameters.push(parameter("query", "wait_ms", false, limit));
        self.or(&[400])
    }

    /// These answers carry `Propusk-Enforcement`.
    pub(crate) fn tells(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.header(*status, "Propusk-Enforcement");
        }
        self
    }

    /// This answer has a version.
    pub(crate) fn versioned(mut self, status: u16) -> Self {
        self.header(status, "ETag");
        self
    }

    /// `If-Match` is heeded.
    pub(crate) fn if_match(mut self) -> Self {
        self.parameters.push(parameter("header", "If-Match", false, json!({ "type": "string" })));
        self.or(&[400, 412])
    }

    /// `If-Match` is demanded.
    pub(crate) fn needs_if_match(mut self) -> Self {
        self.parameters.push(parameter("header", "If-Match", true, json!({ "type": "string" })));
        self.or(&[400, 412, 428])
    }

    /// `Idempotency-Key` is heeded.
    pub(crate) fn once(mut self) -> Self {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        self.parameters.push(parameter("header", "Idempotency-Key", false, schema));
        self.or(&[400, 413, 422])
    }

    /// Problems (RFC 9457) that it may answer.
    pub(crate) fn or(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.answers.entry(*status).or_insert_with(|| answer(*status, "application/problem+json", &problem()));
        }
        self
    }

    /// The names that may be in the query. `None`: whatever is not known is ignored, as OAuth demands (RFC 6749 section
    /// 3.2) and as caches and proxies may need it for what anybody may read.
    pub(super) fn only_parameters(&self) -> Option<Arc<[String]>> {
        let in_query = self.parameters.iter().filter(|it| it.get("in").is_some_and(|place| place == "query"));
        let names = in_query.filter_map(|it| it.get("name")?.as_str().map(str::to_owned));
        matches!(self.security, Security::Bearer | Security::BearerOrBody).then(|| names.collect())
    }

    /// The operation object of OpenAPI 3.1, of the method at a path.
    pub(super) fn render(self, method: &str, path: &str) -> Value {
        let in_path = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut parameters: Vec<_> =
            in_path.map(|name| parameter("path", name, true, json!({ "type": "string" }))).collect();
        parameters.extend(self.parameters);
        let answers: Map<_, _> = self.answers.into_iter().map(|(status, it)| (status.to_string(), it)).collect();
        let words: Vec<_> = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut operation = json!({
            "operationId": format!("{method}_{}", words.join("_")),
            "summary": self.summary,
            "tags": [tag(path)],
            "parameters": parameters,
            "responses": answers,
            "security": match self.security {
                Security::Bearer => json!([{ "bearer": [] }]),
                Security::BearerOrBody => json!([{ "bearer": [] }, {}]),
                Security::Client => json!([{ "client_basic": [] }, {}]),
                Security::Anybody => json!([]),
            },
        });
        if let (Some(body), Some(members)) = (self.body, operation.as_object_mut()) {
            members.insert("requestBody".to_owned(), body);
        }
        operation
    }

    fn header(&mut self, status: u16, name: &str) {
        let Some(answer) = self.answers.get_mut(&status).and_then(Value::as_object_mut) else { return };
        let headers = answer.entry("headers").or_insert_with(|| json!({}));
        if let Some(headers) = headers.as_object_mut() {
            headers.insert(name.to_owned(), json!({ "schema": { "type": "string" } }));
        }
    }

    fn reference<T: ToSchema>(&mut self) -> Value {
        let mut below = Vec::new();
        T::schemas(&mut below);
        below.push((T::name().into_owned(), T::schema()));
        for (name, schema) in below {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }
}

/// The first word of a path, or the resource of the admin API.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/admin/v1").unwrap_or(path);
    path.split('/').nth(1).unwrap_or_default()
}

fn parameter(place: &str, name: &str, is_needed: bool, schema: Value) -> Value {
    json!({ "in": place, "name": name, "required": is_needed, "schema": schema })
}

fn answer(status: u16, kind: &str, schema: &Value) -> Value {
    json!({ "description": meaning(status), "content": { kind: { "schema": schema } } })
}

fn problem() -> Value {
    json!({ "$ref": "#/components/schemas/Problem" })
}

fn oauth_error() -> Value {
    json!({ "$ref": "#/components/schemas/OAuthError" })
}

fn meaning(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Answer")
}
