//! The authority as these commands call it: which one, with whose credentials, and what its errors mean here.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::{Host, Url, form_urlencoded};

use super::change::{Answer, Change};
use super::credentials::{self, Credential};
use crate::cli::ApiArgs;
use crate::config::ConfigErrors;
use crate::data;
use crate::exit::{Exit, Failure};
use crate::run_file::{self, Running};
use crate::tls;

/// For one call. A change may wait a minute to be enforced.
const TIMEOUT: Duration = Duration::from_secs(75);
/// For one that may be as long as a database is.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As many items of a list as the authority gives at once.
const PAGE: usize = 200;
/// Between attempts to get an answer that was lost on its way.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

/// An authority, before anybody signed in there.
pub(super) struct Place {
    pub(super) http: reqwest::Client,
    pub(super) base: String,
}

/// An authority and a token for it.
pub(super) struct Api {
    place: Place,
    credential: Credential,
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
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        self.read(exchange(request).await)
    }

    /// The same for a request that does nothing when it comes again: it is sent until there is an answer.
    pub(super) async fn send_until_answered(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let mut was_lost = false;
        for pause in PAUSES {
            let Some(again) = request.try_clone() else { break };
            match exchange(again).await {
                // What never arrived at all is told at once.
                Err(error) if !error.is_timeout() && (was_lost || !error.is_connect()) => was_lost = true,
                answered => return self.read(answered),
            }
            tokio::time::sleep(pause).await;
        }
        self.send(request).await
    }

    fn read(&self, exchanged: Result<RawAnswer, reqwest::Error>) -> Result<Answer, Failure> {
        let (status, headers, body) = exchanged.map_err(|error| self.unreachable(error))?;
        let document = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        match document {
            Ok(document) if status.is_success() => Ok(Answer::new(&headers, document)),
            Ok(problem) => Err(refused(status, problem)),
            Err(_) => Err(anyhow::anyhow!("{} answered {status} with no JSON: is it an authority?", self.base).into()),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let what = if error.is_connect() {
            format!("the authority at {} cannot be reached", self.base)
        } else {
            format!(
                "the authority at {} gave no whole answer. If this was a change, look whether it was made before you repeat it",
                self.base
            )
        };
        Failure::new(Exit::Unreachable, anyhow::Error::new(error.without_url()).context(what))
    }
}

impl Api {
    /// Finds the authority and signs in.
    pub(super) async fn connect(args: &ApiArgs) -> Result<Self, Failure> {
        let place = Place::find(args)?;
        let credential = credentials::of(&place).await?;
        Ok(Self { place, credential })
    }

    /// Its address.
    pub(super) fn base(&self) -> &str {
        &self.place.base
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.place.request(method, &format!("{path}?{query}")).bearer_auth(self.credential.token.expose())
    }

    /// Reads one thing.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let answer = self.place.send(self.request(Method::GET, path, query)).await;
        Ok(answer.map_err(|failure| self.advised(failure, path))?.document)
    }

    /// Reads one thing with its version, which is a member `etag` of what is returned.
    pub(super) async fn get_versioned(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.place.send(self.request(Method::GET, path, &[])).await;
        let Answer { mut document, etag, .. } = answer.map_err(|failure| self.advised(failure, path))?;
        if let (Some(etag), Some(members)) = (etag, document.as_object_mut()) {
            members.insert("etag".to_owned(), etag.into());
        }
        Ok(document)
    }

    /// Reads a whole list, page by page, or its first items.
    pub(super) async fn list(&self, path: &str, query: &[(&str, &str)], most: Most) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = most.left(all.len()).min(PAGE).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &page));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, &query).await?;
            let items = page.get("items").and_then(Value::as_array).context("the answer has no items")?;
            all.extend(items.iter().take(most.left(all.len())).cloned());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) if most.left(all.len()) > 0 => cursor = Some(next.to_owned()),
                _ => return Ok(all),
            }
        }
    }

    /// Changes something.
    pub(super) async fn change(&self, change: Change) -> Result<Answer, Failure> {
        let query: Vec<_> = change.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut request = self.request(change.method, &change.path, &query);
        if let Some(etag) = &change.if_match {
            request = request.header("if-match", etag);
        }
        if let Some(body) = &change.body {
            request = request.json(body);
        }
        let answer = match &change.once {
            Some(key) => self.place.send_until_answered(request.header("idempotency-key", key)).await,
            None => self.place.send(request).await,
        };
        answer.map_err(|failure| self.advised(failure, &change.path))
    }

    /// Asks for something of any length; `take` gets it part by part. The headers.
    pub(super) async fn download(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<HeaderMap, Failure> {
        let unreachable = |error| self.place.unreachable(error);
        let request = self.request(Method::POST, path, &[]).timeout(DOWNLOAD_TIMEOUT);
        let mut answer = request.send().await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if !status.is_success() {
            let body = answer.bytes().await.map_err(unreachable)?.to_vec();
            let refused = self.place.read(Ok((status, headers, body)));
            return Err(refused.map_or_else(|failure| self.advised(failure, path), |_| unlikely(status)));
        }
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            take(&part)?;
        }
        Ok(headers)
    }

    /// The id of a person who is named by id or by username.
    pub(super) async fn user_id(&self, user: &str) -> Result<String, Failure> {
        if user.starts_with("u_") {
            return Ok(user.to_owned());
        }
        let found = self.get("/admin/v1/users", &[("username", user)]).await?;
        let id = found.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| anyhow::anyhow!("there is no user {user:?}. Who there is: propusk user list").into())
    }

    /// With what to try next.
    fn advised(&self, failure: Failure, path: &str) -> Failure {
        let advice = match (failure.exit, failure.slug()) {
            (Exit::NotAllowed, Some("missing-permission")) => {
                "It takes the role propusk/admin, which an administrator gives: propusk role give USER propusk/admin"
                    .to_owned()
            }
            (Exit::NotAllowed, _) => self.credential.origin.advice().to_owned(),
            (_, Some("not-found")) => format!("What there is: {}", look(path)),
            (_, Some("changed")) => {
                format!("Nothing was done. Look again ({}), then repeat it with the new etag", look(path))
            }
            _ => return failure,
        };
        failure.advise(&advice)
    }
}

fn unlikely(status: StatusCode) -> Failure {
    anyhow::anyhow!("the authority answered {status} where that means nothing").into()
}

/// Status, headers and body.
type RawAnswer = (StatusCode, HeaderMap, Vec<u8>);

async fn exchange(request: RequestBuilder) -> Result<RawAnswer, reqwest::Error> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok((status, headers, answer.bytes().await?.to_vec()))
}

/// How much of a list is read.
#[derive(Clone, Copy)]
pub(super) struct Most(usize);

impl Most {
    pub(super) const ALL: Self = Self(usize::MAX);

    pub(super) fn of(limit: Option<u64>) -> Self {
        limit.map_or(Self::ALL, |limit| Self(usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    fn left(self, have: usize) -> usize {
        self.0.saturating_sub(have)
    }
}

/// The command that shows what is at a path of the admin API.
fn look(path: &str) -> String {
    let segments: Vec<_> = path.trim_start_matches("/admin/v1/").split('/').collect();
    match segments.as_slice() {
        ["services", service, "roles", ..] | [_, _, "roles", service, _] => format!("propusk role list {service}"),
        ["services", ..] => "propusk service list".to_owned(),
        ["groups", group, "members", ..] => format!("propusk group list, propusk group show {group}"),
        ["groups", ..] => "propusk group list".to_owned(),
        ["clients", ..] => "propusk client list".to_owned(),
        ["exchange-rules", ..] => "propusk client list, propusk service list".to_owned(),
        ["sessions", ..] => "propusk session list USER".to_owned(),
        ["keys", ..] => "propusk keys list SERVICE".to_owned(),
        _ => "propusk user list".to_owned(),
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
    let words = format!("{} ({status})", words.join(": "));
    let words = crate::output::harmless(&words).into_owned();
    // What programs read is a problem document, also where OAuth has a form of its own.
    if problem.get("type").is_none() {
        return Failure::new(exit, anyhow::Error::msg(words));
    }
    Failure::of_problem(exit, words, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("u_abc-1.~"), "u_abc-1.~");
        assert_eq!(segment("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }

    #[test]
    fn what_is_not_there_is_answered_with_where_to_look() {
        for (path, command) in [
            ("/admin/v1/users/u_1/disable", "propusk user list"),
            ("/admin/v1/services/cars/roles/chief", "propusk role list cars"),
            ("/admin/v1/users/u_1/roles/cars/chief", "propusk role list cars"),
            ("/admin/v1/services/cars/keys", "propusk service list"),
            ("/admin/v1/groups/drivers/members/u_1", "propusk group list, propusk group show drivers"),
            ("/admin/v1/clients/x/secret", "propusk client list"),
            ("/admin/v1/sessions/s_1", "propusk session list USER"),
        ] {
            assert_eq!(look(path), command, "{path}");
        }
    }

    #[test]
    fn a_list_is_read_as_far_as_is_asked_for() {
        assert_eq!(Most::of(Some(3)).left(1), 2);
        assert_eq!(Most::of(Some(3)).left(7), 0);
        assert!(Most::of(None).left(1_000_000) > PAGE);
    }
}
