//! The authority as these commands call it: which one, with whose credentials, and what its errors mean here.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::{Host, Url, form_urlencoded};

use super::credentials;
use crate::cli::ApiArgs;
use crate::config::ConfigErrors;
use crate::data;
use crate::exit::{Exit, Failure};
use crate::run_file::{self, Running};
use crate::secret::SecretText;
use crate::tls;

/// For one call. A change may wait a minute to be enforced.
const TIMEOUT: Duration = Duration::from_secs(75);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As many items of a list as the authority gives at once.
const PAGE: &str = "200";

/// An authority, before anybody signed in there.
pub(super) struct Place {
    pub(super) http: reqwest::Client,
    pub(super) base: String,
}

/// An authority and a token for it.
pub(super) struct Api {
    place: Place,
    token: SecretText,
}

impl Place {
    /// `--authority`, PROPUSK_AUTHORITY (which is the same argument), or the running `up`.
    pub(super) fn find(args: &ApiArgs) -> Result<Self, Failure> {
        let (base, ca) = match &args.authority {
            Some(url) => (url.trim_end_matches('/').to_owned(), None),
            None => {
                let running = running(args)?;
                (running.authority, running.ca)
            }
        };
        let url = Url::parse(&base)
            .map_err(|_| Failure::usage(format!("{base:?} is not a URL such as http://127.0.0.1:8081")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::usage(format!("{base:?} is neither http nor https")));
        }
        if url.scheme() == "http" && !is_loopback(&url) && !args.insecure_http {
            return Err(Failure::usage(format!(
                "{base} is plain HTTP to another machine: credentials would cross the network in the clear. Use https, or give --insecure-http"
            )));
        }
        let ca = args.ca.clone().or(ca);
        let roots = ca.as_deref().map(tls::roots).transpose().map_err(ConfigErrors::from)?;
        Ok(Self { http: http(roots.as_deref())?, base })
    }

    /// A request to a path.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads its answer; what the authority refuses is an error.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Value), Failure> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        let document = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        match document {
            Ok(document) if status.is_success() => Ok((status, document)),
            Ok(problem) => Err(refused(status, problem)),
            Err(_) => Err(anyhow::anyhow!("{} answered {status} with no JSON: is it an authority?", self.base).into()),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let error = anyhow::Error::new(error.without_url())
            .context(format!("the authority at {} cannot be reached", self.base));
        Failure::new(Exit::Unreachable, error)
    }
}

impl Api {
    /// Finds the authority and signs in.
    pub(super) async fn connect(args: &ApiArgs) -> Result<Self, Failure> {
        let place = Place::find(args)?;
        let token = credentials::token(&place).await?;
        Ok(Self { place, token })
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.place.request(method, &format!("{path}?{query}")).bearer_auth(self.token.expose())
    }

    /// Reads one thing.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        Ok(self.place.send(self.request(Method::GET, path, query)).await?.1)
    }

    /// Reads a whole list, page by page.
    pub(super) async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, &query).await?;
            let items = page.get("items").and_then(Value::as_array).context("the answer has no items")?;
            all.extend(items.iter().cloned());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// Changes something; the answer with its status.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let request = self.request(method, path, query);
        self.place
            .send(match body {
                Some(body) => request.json(body),
                None => request,
            })
            .await
    }

    /// The id of a person who is named by id or by username.
    pub(super) async fn user_id(&self, user: &str) -> Result<String, Failure> {
        if user.starts_with("u_") {
            return Ok(user.to_owned());
        }
        let found = self.get("/admin/v1/users", &[("username", user)]).await?;
        let id = found.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| anyhow::anyhow!("there is no user {user:?}").into())
    }
}

/// One segment of a path.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded =
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    encoded.collect()
}

fn http(roots_pem: Option<&str>) -> anyhow::Result<reqwest::Client> {
    tls::client(roots_pem)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .user_agent(concat!("propusk/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("no HTTP client")
}

fn running(args: &ApiArgs) -> Result<Running, Failure> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => data::default_path()?,
    };
    let running = run_file::read(&data)?;
    let none = || {
        let text = format!(
            "no `propusk up` runs on {}: start one, give --data DIR, or name an authority with --authority URL or PROPUSK_AUTHORITY",
            data.display()
        );
        Failure::new(Exit::Unreachable, anyhow::Error::msg(text))
    };
    running.ok_or_else(none)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A problem document (RFC 9457) or an OAuth error (RFC 6749 section 5.2), in words.
fn refused(status: StatusCode, problem: Value) -> Failure {
    let exit = match status.as_u16() {
        401 | 403 => Exit::NotAllowed,
        502..=504 => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let text = |member: &str| problem.get(member).and_then(Value::as_str);
    let mut words = vec![text("title").or(text("error")).unwrap_or("the authority refused").to_owned()];
    words.extend(text("detail").or(text("error_description")).map(str::to_owned));
    let fields = problem.get("errors").and_then(Value::as_array).into_iter().flatten();
    words.extend(fields.map(|field| format!("{} {}", super::shown(field, "pointer"), super::shown(field, "detail"))));
    if exit == Exit::NotAllowed && status == StatusCode::UNAUTHORIZED {
        words.push("sign in with `propusk login`".to_owned());
    }
    Failure::of_problem(exit, format!("{} ({status})", words.join(": ")), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("u_abc-1.~"), "u_abc-1.~");
        assert_eq!(segment("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }
}
