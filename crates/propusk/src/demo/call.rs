//! A request of the tour, told as it is made, and its answer, told as it comes.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::screen::{Cut, Screen, WIDTH, cut};

/// The gateway's one cookie. HTTP libraries may not keep it over plain HTTP, so it is carried by hand.
const COOKIE: &str = "__Host-Http-propusk";

/// A client that follows no redirect and knows no proxy: what is shown is what was sent.
pub(super) fn client(roots_pem: Option<&str>) -> anyhow::Result<Client> {
    crate::tls::client(roots_pem)?.no_proxy().timeout(Duration::from_secs(30)).build().context("no HTTP client")
}

/// A request in the making.
pub(super) struct Call {
    request: RequestBuilder,
    told: String,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    told: String,
    pub(super) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(super) json: Value,
}

impl Call {
    /// A request to `base` and `path`; the base is not told, `to` names it.
    pub(super) fn new(http: &Client, method: Method, to: &str, base: &str, path: &str) -> Self {
        let told = format!("{method} {to} {path}");
        Self { request: http.request(method, format!("{base}{path}")), told }
    }

    /// As an API client, with name and password.
    pub(super) fn basic(mut self, username: &str, password: &str) -> Self {
        self.request = self.request.basic_auth(username, Some(password));
        self.told.push_str(&format!("  Basic {username}:…"));
        self
    }

    /// With an access token.
    pub(super) fn bearer(mut self, token: &str) -> Self {
        self.request = self.request.bearer_auth(token);
        self.told.push_str("  Bearer …");
        self
    }

    /// As a browser of a page of ours sends it.
    pub(super) fn cookie(mut self, cookie: &str) -> Self {
        self.request =
            self.request.header("cookie", format!("{COOKIE}={cookie}")).header("sec-fetch-site", "same-origin");
        self.told.push_str("  Cookie …");
        self
    }

    /// As a script of a page of ours sends it.
    pub(super) fn same_origin(mut self) -> Self {
        self.request = self.request.header("sec-fetch-site", "same-origin");
        self
    }

    /// With a JSON body, which is told without its secrets.
    pub(super) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self.told.push_str(&format!("  {}", without_secrets(body)));
        self
    }

    /// Sends it and tells both sides.
    pub(super) async fn send(self, screen: &Screen) -> Result<Answer, Cut> {
        screen.did(&self.told);
        let answer = self.quietly().await?;
        screen.saw(&answer.in_short());
        Ok(answer)
    }

    /// Sends it and tells nothing.
    pub(super) async fn quietly(self) -> Result<Answer, Cut> {
        let told = self.told;
        let answer = self.request.send().await.with_context(|| format!("{told}: no answer"))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.with_context(|| format!("{told}: the answer broke off"))?;
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { told, status, headers, json })
    }
}

impl Answer {
    /// Goes on if the status is the one that is wanted.
    pub(super) fn expect(self, status: u16) -> Result<Self, Cut> {
        if self.status == status {
            return Ok(self);
        }
        Err(Cut::Failed(format!("{} should be answered {status}, not {}", self.told, self.in_short())))
    }

    /// Goes on if it is this refusal.
    pub(super) fn expect_problem(self, status: u16, slug: &str) -> Result<Self, Cut> {
        let answer = self.expect(status)?;
        if answer.slug() == slug {
            return Ok(answer);
        }
        Err(Cut::Failed(format!("{} should be refused as {slug}, not {}", answer.told, answer.in_short())))
    }

    /// The kind of a problem document, without its prefix.
    pub(super) fn slug(&self) -> &str {
        let kind = self.json.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.strip_prefix("urn:propusk:problem:").unwrap_or_default()
    }

    /// A header; empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A member of the body, which has to be a text.
    pub(super) fn text(&self, pointer: &str) -> Result<String, Cut> {
        let text = self.json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| Cut::Failed(format!("{}: no {pointer} in {}", self.told, self.in_short())))
    }

    /// A member of the body, which has to be a number.
    pub(super) fn number(&self, pointer: &str) -> Result<i64, Cut> {
        let number = self.json.pointer(pointer).and_then(Value::as_i64);
        number.ok_or_else(|| Cut::Failed(format!("{}: no {pointer} in {}", self.told, self.in_short())))
    }

    /// The session cookie that it sets, if it sets one; empty if it clears it.
    pub(super) fn cookie(&self) -> Option<String> {
        let prefix = format!("{COOKIE}=");
        self.headers.get_all("set-cookie").iter().find_map(|value| {
            let value = value.to_str().ok()?.strip_prefix(&prefix)?;
            Some(value.split(';').next().unwrap_or_default().to_owned())
        })
    }

    /// By what the token was judged, as in `lease` of `class=elite;by=lease;…`.
    pub(super) fn decided_by(&self) -> &str {
        member_of(self.header("propusk-decision"), "by").unwrap_or_default()
    }

    /// Status, body and what else is told in headers, on one line and without secrets.
    pub(super) fn in_short(&self) -> String {
        let mut remarks: Vec<String> = [self.decision(), self.enforcement()].into_iter().flatten().collect();
        if self.cookie().is_some_and(|cookie| !cookie.is_empty()) {
            remarks.push("a new cookie".to_owned());
        }
        let remarks = remarks.iter().map(|remark| format!(" · {remark}")).collect::<String>();
        let body = match self.slug() {
            "" => short_body(&self.json),
            slug => slug.to_owned(),
        };
        let room = WIDTH.saturating_sub(remarks.chars().count() + 4);
        let body = if body.is_empty() { body } else { format!(" {}", cut(&body, room)) };
        format!("{}{body}{remarks}", self.status)
    }

    /// `elite by lease, 3 ms old`.
    fn decision(&self) -> Option<String> {
        let part = |name: &str| member_of(self.header("propusk-decision"), name);
        Some(format!("{} by {}, {} ms old", part("class")?, part("by")?, part("age-ms")?))
    }

    /// `enforced in 7 ms`.
    pub(super) fn enforcement(&self) -> Option<String> {
        let part = |name: &str| member_of(self.header("propusk-enforcement"), name);
        Some(format!("{} in {} ms", part("outcome")?, part("took-ms")?))
    }
}

/// The value of `name` in `a=b;name=value`.
fn member_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Lists by their length and first item.
fn short_body(body: &Value) -> String {
    match body {
        Value::Null => String::new(),
        Value::Array(items) => {
            let first = items.first().map(|item| format!(", the first {item}")).unwrap_or_default();
            format!("{} items{first}", items.len())
        }
        other => without_secrets(other).to_string(),
    }
}

/// The same document with nothing in it that would open a door.
fn without_secrets(document: &Value) -> Value {
    let mut shown = document.clone();
    for (name, value) in shown.as_object_mut().into_iter().flatten() {
        let is_secret = ["token", "secret", "password"].iter().any(|end| name.ends_with(end));
        if is_secret && value.is_string() {
            *value = "…".into();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, json: Value, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Answer { told: "GET x".to_owned(), status, headers, json }
    }

    #[test]
    fn no_token_is_told() {
        let told =
            answer(200, json!({"access_token": "eyJ", "expires_in": 5, "refresh_token": "prt_"}), &[]).in_short();
        assert!(!told.contains("eyJ") && !told.contains("prt_") && told.contains("expires_in"), "{told}");
        let told = answer(200, Value::Null, &[("set-cookie", "__Host-Http-propusk=abc; Path=/")]).in_short();
        assert_eq!(told, "200 · a new cookie");
        let told =
            without_secrets(&json!({"refresh_token": "prt_x", "new_password": "p", "username": "u"})).to_string();
        assert!(!told.contains("prt_x") && !told.contains("\"p\"") && told.contains("\"u\""), "{told}");
    }

    #[test]
    fn refusals_are_told_by_their_kind() {
        let body = json!({"type": "urn:propusk:problem:token-stale"});
        let stale = answer(401, body, &[("propusk-decision", "class=elite;by=lease;seq=41;age-ms=3")]);
        assert_eq!(stale.in_short(), "401 token-stale · elite by lease, 3 ms old");
        assert_eq!(stale.decided_by(), "lease");
        let stale = stale.expect_problem(401, "token-stale").unwrap();
        assert!(matches!(stale.expect(200), Err(Cut::Failed(why)) if why.contains("should be answered 200")));
    }
}
