//! An authority with the demo's data, and who calls it.

use std::time::Duration;

use propusk_core::env::SystemRandom;
use propusk_core::keys::{Kek, Schedule};
use propusk_core::secret::{CLIENT_SECRET_PREFIX, PlainSecret};
use propusk_core::settings::{Argon2Settings, Settings};
use propusk_server::{Authority, Listeners, ServerConfig, demo};
use propusk_verify::axum::Listener;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running authority. `root` administers as a client; the demo's `admin` does, too.
pub(crate) struct World {
    http: reqwest::Client,
    url: String,
    root_secret: PlainSecret,
    root: tokio::sync::Mutex<String>,
    demo: demo::DemoData,
    kek: String,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
    dir: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn start() -> Self {
        let secret = PlainSecret::generate(CLIENT_SECRET_PREFIX, &SystemRandom);
        Self::start_in(tempfile::tempdir().unwrap(), Kek::generate_text(&SystemRandom).to_string(), secret).await
    }

    /// Ends, and starts again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let _ = self.stop.send(());
        self.ended.await.unwrap();
        Self::start_in(self.dir, self.kek, self.root_secret).await
    }

    async fn start_in(dir: TempDir, kek: String, secret: PlainSecret) -> Self {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let feed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", http.local_addr().unwrap());
        let mut settings = Settings::new(url.clone());
        settings.argon2 = Argon2Settings { m_kib: 64, t: 1, p: 1 };
        let config = ServerConfig {
            settings,
            database: dir.path().join("authority.db"),
            synchronous: propusk_store::Synchronous::Off,
            kek: Kek::from_text(&kek).unwrap(),
            hash_queue: 64,
            throttle: Some(Duration::from_secs(60)),
            trusted_proxies: Vec::new(),
            key_schedule: Schedule {
                settle: Duration::from_secs(60),
                max_age: Duration::from_secs(60),
                rotate_every: Duration::from_secs(90 * 24 * 3600),
            },
            publish_all_keys: false,
            lease: Duration::from_secs(3),
            revoke_wait_limit: Duration::from_secs(5),
            debug_decision_headers: false,
            ops_anywhere: false,
            bootstrap_admin_secret: Some(secret.clone()),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let listeners = Listeners { http: Listener::new(http, None), feed: Listener::new(feed, None) };
        let shutdown = async move {
            let _ = stopped.await;
        };
        let authority = Authority::start(config, listeners, shutdown).await.unwrap();
        let demo = demo::ensure(&authority, std::collections::BTreeMap::new()).await.unwrap();
        let ended = tokio::spawn(authority.finished());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let root = tokio::sync::Mutex::default();
        let world = Self { http, url, root_secret: secret, root, demo, kek, stop, ended, dir };
        world.renew().await;
        world
    }

    /// A call of the admin API by `root`.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = |root: &str| {
            let mut request =
                self.http.request(method.clone(), format!("{}/admin/v1{path}", self.url)).bearer_auth(root);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            request
        };
        let root = self.root.lock().await.clone();
        let answer = Answer::of(request(&root)).await;
        if answer.header("propusk-verdict") != "stale" {
            return answer;
        }
        self.renew().await;
        let root = self.root.lock().await.clone();
        Answer::of(request(&root)).await
    }

    /// A POST by `root` whose answer is bytes.
    pub(crate) async fn download(&self, path: &str) -> reqwest::Response {
        let root = self.root.lock().await.clone();
        self.http.post(format!("{}/admin/v1{path}", self.url)).bearer_auth(root).send().await.unwrap()
    }

    async fn renew(&self) {
        let token = self.client_token("bootstrap-admin", self.root_secret.expose(), "propusk").await.unwrap();
        *self.root.lock().await = token;
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.expect(200)
    }

    pub(crate) async fn put(&self, path: &str) -> Value {
        self.call(Method::PUT, path, None).await.expect(200)
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.call(Method::DELETE, path, None).await.expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Makes a role of a service, or changes it.
    pub(crate) async fn role(&self, path: &str, permissions: &[&str], inherits: &[&str]) -> Value {
        let body = json!({ "permissions": permissions, "inherits": inherits });
        let (service, role) = path.split_once('/').unwrap();
        self.call(Method::PUT, &format!("/services/{service}/roles/{role}"), Some(body)).await.expect(200)
    }

    /// The demo's person of this name.
    pub(crate) fn id(&self, username: &str) -> String {
        self.person(username).id.clone()
    }

    fn person(&self, username: &str) -> &demo::DemoUser {
        let mut people = self.demo.users.iter().chain(&self.demo.admin);
        people.find(|user| user.username == username).unwrap()
    }

    pub(crate) fn secret(&self, client: &str) -> String {
        let found = self.demo.clients.iter().find(|found| found.client_id == client).unwrap();
        found.secret.as_ref().unwrap().expose().to_owned()
    }

    pub(crate) fn password(&self, username: &str) -> String {
        self.person(username).password.as_ref().unwrap().expose().to_owned()
    }

    /// Signs in for an audience.
    pub(crate) async fn sign_in(&self, username: &str, password: &str, audience: &str) -> Answer {
        let body = json!({ "username": username, "password": password, "audience": audience });
        Answer::of(self.http.post(format!("{}/auth/login", self.url)).json(&body)).await
    }

    /// An access token of one of the demo's people.
    pub(crate) async fn token(&self, username: &str, audience: &str) -> String {
        let answer = self.sign_in(username, &self.password(username), audience).await.expect(200);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// An access token of a client for itself; the error's code otherwise.
    pub(crate) async fn client_token(&self, id: &str, secret: &str, audience: &str) -> Result<String, String> {
        let form = [("grant_type", "client_credentials"), ("audience", audience)];
        let request = self.http.post(format!("{}/oauth/token", self.url)).basic_auth(id, Some(secret)).form(&form);
        let answer = Answer::of(request).await;
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        if answer.status == 200 { Ok(text("access_token")) } else { Err(text("error")) }
    }

    /// A service turns its caller's token into one for another service; the error's code otherwise.
    pub(crate) async fn exchange(&self, actor: &str, token: &str, audience: &str) -> Result<String, String> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", audience),
        ];
        let url = format!("{}/oauth/token", self.url);
        let answer = Answer::of(self.http.post(url).basic_auth(actor, Some(self.secret(actor))).form(&form)).await;
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        if answer.status == 200 { Ok(text("access_token")) } else { Err(text("error")) }
    }

    /// Every byte of the data, the write-ahead log included.
    pub(crate) fn stored_bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.dir.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// What a service hears about a token for it.
    pub(crate) async fn introspect(&self, service: &str, token: &str) -> Value {
        let url = format!("{}/oauth/introspect", self.url);
        let request = self.http.post(url).basic_auth(service, Some(self.secret(service))).form(&[("token", token)]);
        Answer::of(request).await.expect(200)
    }

    /// A call of somebody else.
    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str) -> Answer {
        Answer::of(self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token)).await
    }

    /// A call of whatever path by `root`.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let root = self.root.lock().await.clone();
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(root);
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Anybody's call.
    pub(crate) async fn call_openly(&self, method: Method, path: &str, body: Value) -> Answer {
        Answer::of(self.http.request(method, format!("{}{path}", self.url)).json(&body)).await
    }

    /// The last entry of the audit log about a subject.
    pub(crate) async fn last_audit(&self, subject: &str) -> Value {
        self.get(&format!("/audit?subject={subject}&limit=1")).await["items"][0].clone()
    }
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let is_json = headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("json"));
        let body = if is_json { serde_json::from_slice(&bytes).unwrap() } else { Value::Null };
        Self { status, headers, body }
    }

    /// The body, if the status is this.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The problem's slug.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> String {
        let kind = self.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = self.expect(status);
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{body}");
        body["type"].as_str().unwrap().trim_start_matches("urn:propusk:problem:").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// The claims of a token, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

/// The texts of a list.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}
