//! One request, one answer, and assertions that show both when they fail.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use serde_json::Value;

/// A client that follows no redirect, keeps no cookie and knows no proxy: what is sent is what the test wrote.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// With a pool of connections of its own.
    pub fn new() -> Self {
        Self { client: builder().build().expect("a client") }
    }

    /// The same, calling from this address of the machine.
    pub fn from_address(address: IpAddr) -> Self {
        Self { client: builder().local_address(address).build().expect("a client") }
    }

    /// The same, trusting these certificates and no others.
    pub fn trusting(roots_pem: &str) -> Self {
        let roots = reqwest::Certificate::from_pem_bundle(roots_pem.as_bytes()).expect("certificates");
        Self { client: builder().tls_certs_only(roots).build().expect("a client") }
    }

    /// GET.
    pub fn get(&self, url: &str) -> Request {
        self.request("GET", url)
    }

    /// POST.
    pub fn post(&self, url: &str) -> Request {
        self.request("POST", url)
    }

    /// Any method.
    pub fn request(&self, method: &str, url: &str) -> Request {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let parsed = method.parse::<http::Method>().expect("a method");
        let inner = self.client.request(parsed, url).header("x-request-id", &id);
        Request { inner, what: format!("{method} {url}"), id }
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(Duration::from_secs(60))
}

/// The certificate (DER) that is shown to a new connection at `url`, where it is trusted by `roots_pem`.
pub async fn certificate_of(url: &str, roots_pem: &str) -> Vec<u8> {
    let roots = reqwest::Certificate::from_pem_bundle(roots_pem.as_bytes()).expect("certificates");
    let client = builder().tls_certs_only(roots).tls_info(true).build().expect("a client");
    let answer = client.get(url).send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let session = answer.extensions().get::<reqwest::tls::TlsInfo>().expect("a connection by TLS");
    session.peer_certificate().expect("a certificate").to_vec()
}

/// A request in the making. It carries an id of its own, by which its lines in the log are found.
pub struct Request {
    inner: reqwest::RequestBuilder,
    what: String,
    /// The value of `X-Request-Id`.
    pub id: String,
}

impl Request {
    /// One more header, beside any of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.inner = self.inner.header(name, value);
        self
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// `Authorization: Basic`.
    pub fn basic(self, user: &str, password: &str) -> Self {
        let pair = Base64::encode_string(format!("{user}:{password}").as_bytes());
        self.header("authorization", &format!("Basic {pair}"))
    }

    /// A JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.inner = self.inner.json(body);
        self
    }

    /// A form body.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.inner = self.inner.form(fields);
        self
    }

    /// A body as it is.
    pub fn body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.inner = self.inner.header("content-type", content_type).body(body);
        self
    }

    /// Sends it; that no answer comes is a failure of the test.
    pub async fn send(self) -> Answer {
        let what = self.what.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: no answer: {error:?}"))
    }

    /// Sends it.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let answer = self.inner.send().await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.bytes().await?.to_vec();
        Ok(Answer { what: self.what, id: self.id, status, headers, body })
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    /// Method and address that it answers.
    pub what: String,
    /// The request's id.
    pub id: String,
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All headers of this name, joined as HTTP allows.
    pub fn headers_joined(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }

    /// A string member of the JSON body.
    #[track_caller]
    pub fn field(&self, member: &str) -> String {
        let json = self.json();
        json[member].as_str().unwrap_or_else(|| panic!("no string {member:?}\n{self}")).to_owned()
    }

    /// Goes on if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        self
    }

    /// A problem document (RFC 9457) of this kind, with this status.
    #[track_caller]
    pub fn expect_problem(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        assert_eq!(self.header("content-type"), "application/problem+json", "\n{self}");
        assert_eq!(self.field("type"), format!("urn:propusk:problem:{slug}"), "\n{self}");
        self
    }

    /// An OAuth error (RFC 6749 section 5.2), which is never a problem document.
    #[track_caller]
    pub fn expect_oauth_error(self, status: u16, error: &str) -> Self {
        assert_eq!(self.status, status, "\n{self}");
        assert!(self.header("content-type").starts_with("application/json"), "\n{self}");
        assert_eq!(self.field("error"), error, "\n{self}");
        assert!(self.json().get("access_token").is_none(), "\n{self}");
        self
    }

    /// The report of a change that every verifier has applied, or can no longer decide without.
    #[track_caller]
    pub fn expect_enforced(self) -> Self {
        let answer = self.expect(200);
        let json = answer.json();
        assert_eq!(json["outcome"], "enforced", "\n{answer}");
        assert!(json["seq"].is_u64() && json["took_ms"].is_u64() && json["laggards"].is_array(), "\n{answer}");
        answer
    }

    /// The same in the header of an answer that has no body for it.
    #[track_caller]
    pub fn expect_enforced_header(self) -> Self {
        let told = self.header("propusk-enforcement").to_owned();
        let parts: Vec<&str> = told.split(';').collect();
        assert_eq!(parts.len(), 3, "{told:?}\n{self}");
        assert_eq!(parts[0], "outcome=enforced", "\n{self}");
        let number = |part: &str, name: &str| part.strip_prefix(name).is_some_and(|rest| rest.parse::<u64>().is_ok());
        assert!(number(parts[1], "seq=") && number(parts[2], "took-ms="), "\n{self}");
        self
    }

    /// A verifier's refusal, in all of its four places.
    #[track_caller]
    pub fn expect_refusal(self, refusal: Refusal) -> Self {
        let (status, challenge, verdict, slug) = refusal.row();
        let answer = self.expect_problem(status, slug);
        assert_eq!(answer.header("propusk-verdict"), verdict, "\n{answer}");
        let offered = answer.headers_joined("www-authenticate");
        match challenge {
            None => assert_eq!(offered, "", "\n{answer}"),
            Some("") => {
                assert!(offered.contains("Bearer realm="), "\n{answer}");
                assert!(!offered.contains("error="), "no error without credentials\n{answer}");
            }
            Some(error) => {
                assert!(offered.contains("Bearer "), "\n{answer}");
                assert!(offered.contains(&format!("error=\"{error}\"")), "\n{answer}");
            }
        }
        if status == 503 {
            assert_ne!(answer.header("retry-after"), "", "\n{answer}");
        }
        answer
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} ({})\n→ {}", self.what, self.id, self.status)?;
        for (name, value) in &self.headers {
            writeln!(out, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(out, "  {}", self.text().chars().take(2000).collect::<String>())
    }
}

/// The rows of the table of what a verifier answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No credentials.
    None,
    /// Two of them, or a header that cannot be read.
    BadRequest,
    /// Not a token for this audience at all.
    Invalid,
    /// Past its end.
    Expired,
    /// Revoked, or somebody in it was disabled.
    Revoked,
    /// Something changed since it was minted.
    Stale,
    /// Nobody can tell now.
    Unknown,
    /// A role or permission is missing.
    Forbidden,
}

impl Refusal {
    /// Status, error of the challenge (none at all; without an error), verdict, kind of problem.
    fn row(self) -> (u16, Option<&'static str>, &'static str, &'static str) {
        match self {
            Self::None => (401, Some(""), "none", "no-credentials"),
            Self::BadRequest => (400, Some("invalid_request"), "invalid", "bad-request"),
            Self::Invalid => (401, Some("invalid_token"), "invalid", "invalid-token"),
            Self::Expired => (401, Some("invalid_token"), "expired", "token-expired"),
            Self::Revoked => (401, Some("invalid_token"), "refused", "token-revoked"),
            Self::Stale => (401, Some("invalid_token"), "stale", "token-stale"),
            Self::Unknown => (503, None, "unknown", "cannot-tell"),
            Self::Forbidden => (403, Some("insufficient_scope"), "forbidden", "missing-permission"),
        }
    }
}
