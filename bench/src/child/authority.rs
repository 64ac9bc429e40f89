//! A whole authority in a process of its own, with the demo's services and clients, and how a benchmark talks to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use propusk_core::keys::{Kek, Schedule};
use propusk_core::secret::PlainSecret;
use propusk_core::settings::{Argon2Settings, MAX_ACCESS_TTL, Settings};
use propusk_server::{Authority as Server, Listeners, ServerConfig, demo};
use propusk_store::Synchronous;
use propusk_verify::feed::FeedClient;
use reqwest::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Served;
use crate::data::Data;
use crate::process::Usage;

/// The issuer of every token.
pub(crate) const ISSUER: &str = "https://id.bench.example";
/// The services whose clients follow the feed.
pub(crate) const SERVICES: [&str; 3] = ["users", "posts", "cars"];

/// What the child is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spec {
    database: PathBuf,
    kek: String,
    admin_secret: String,
    lease_ms: u64,
}

impl Spec {
    pub(crate) fn new(data: &Data, lease: Duration) -> Result<Self> {
        Ok(Self {
            database: data.database(),
            kek: data.kek.clone(),
            admin_secret: data.admin_secret.clone(),
            lease_ms: u64::try_from(lease.as_millis())?,
        })
    }
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ready {
    http: String,
    feed: String,
    /// Secrets of the clients that this start has made.
    secrets: BTreeMap<String, String>,
}

/// The child's side.
pub(crate) fn serve() -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    super::serve_with(|spec: Spec, ended| async move {
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let feed = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = (http.local_addr()?, feed.local_addr()?);
        let shutdown = async move {
            let _ = ended.await;
        };
        let server = Server::start(config(spec)?, Listeners { http: http.into(), feed: feed.into() }, shutdown).await?;
        let made = demo::ensure(&server, BTreeMap::new()).await?;
        let secrets = made.clients.into_iter().filter_map(|client| {
            let secret = client.secret?;
            Some((client.client_id, secret.expose().to_owned()))
        });
        super::say_ready(&Ready {
            http: format!("http://{}", addresses.0),
            feed: format!("http://{}", addresses.1),
            secrets: secrets.collect(),
        })?;
        server.finished().await;
        Ok(())
    })
}

/// The product's defaults, but for tokens that last as long as a benchmark and passwords that cost nothing.
pub(crate) fn config(spec: Spec) -> Result<ServerConfig> {
    let settings = Settings {
        access_ttl: MAX_ACCESS_TTL,
        argon2: Argon2Settings { m_kib: 8, t: 1, p: 1 },
        ..Settings::new(ISSUER)
    };
    Ok(ServerConfig {
        settings,
        database: spec.database,
        synchronous: Synchronous::Full,
        kek: Kek::from_text(&spec.kek)?,
        hash_queue: 64,
        throttle: Some(Duration::from_secs(60)),
        trusted_proxies: Vec::new(),
        key_schedule: Schedule {
            settle: Duration::from_secs(60),
            max_age: Duration::from_secs(60),
            rotate_every: Duration::ZERO,
        },
        publish_all_keys: false,
        lease: Duration::from_millis(spec.lease_ms),
        revoke_wait_limit: Duration::from_secs(5),
        debug_decision_headers: false,
        ops_anywhere: false,
        bootstrap_admin_secret: Some(PlainSecret::presented(spec.admin_secret)),
    })
}

/// The benchmark's side: a child that serves, and an administrator's token for it.
pub(crate) struct Authority {
    served: Served<Ready>,
    http: reqwest::Client,
    admin_token: String,
    secrets: BTreeMap<String, String>,
}

/// The secrets of the clients, for a later start on the same data.
pub(crate) type Secrets = BTreeMap<String, String>;

impl Authority {
    /// Starts one on new data.
    pub(crate) async fn start(data: &Data, lease: Duration) -> Result<Self> {
        Self::start_again(data, lease, Secrets::new()).await
    }

    /// Starts one on data whose clients were made by an earlier start.
    pub(crate) async fn start_again(data: &Data, lease: Duration, mut secrets: Secrets) -> Result<Self> {
        let spec = Spec::new(data, lease)?;
        let served: Served<Ready> = Served::start("serve-authority", &spec).await?;
        secrets.extend(served.ready.secrets.clone());
        let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
        let mut authority = Self { served, http, admin_token: String::new(), secrets };
        authority.admin_token = authority.client_credentials("bootstrap-admin", &data.admin_secret).await?;
        Ok(authority)
    }

    async fn client_credentials(&self, client: &str, secret: &str) -> Result<String> {
        let form = [("grant_type", "client_credentials"), ("audience", "propusk")];
        let request = self.http.post(self.url("/oauth/token")).basic_auth(client, Some(secret)).form(&form);
        access_token(request.send().await?).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.served.ready.http)
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        self.served.usage()
    }

    /// Ends it; the secrets are for a later start.
    pub(crate) async fn stop(self) -> Result<Secrets> {
        drop(self.http);
        self.served.stop().await?;
        Ok(self.secrets)
    }

    /// A connection of its own to the feed, as the client of a service.
    pub(crate) fn feed_client(&self, service: &str) -> Result<FeedClient> {
        let secret = self.secrets.get(service).with_context(|| format!("no client {service}"))?;
        Ok(FeedClient::connect_lazy(&self.served.ready.feed, service, secret)?)
    }

    /// Revokes a token by its id, as an administrator does, over a connection that is kept. Answers the place in the
    /// log once every verifier has it; fails if the authority says anything but `enforced`.
    pub(crate) async fn revoke(&self, jti: &str) -> Result<u64> {
        let request = self.http.post(self.url("/admin/v1/tokens/revoke")).bearer_auth(&self.admin_token);
        let answer = checked(request.json(&json!({ "jti": jti })).send().await?).await?;
        match (text(&answer, "outcome")?, answer.get("seq").and_then(Value::as_u64)) {
            ("enforced", Some(seq)) => Ok(seq),
            _ => bail!("a revocation was not enforced: {answer}"),
        }
    }

    /// A token for `cars` of a new person who may buy there.
    pub(crate) async fn token_of_new_buyer(&self, username: &str) -> Result<String> {
        const PASSWORD: &str = "correct horse battery staple";
        let credentials = json!({ "username": username, "password": PASSWORD });
        let made = self.http.post(self.url("/auth/register")).json(&credentials).send().await?;
        let made = checked(made).await?;
        let role = self.url(&format!("/admin/v1/users/{}/roles/cars/buyer", text(&made, "id")?));
        checked(self.http.put(role).bearer_auth(&self.admin_token).send().await?).await?;
        let login = json!({ "username": username, "password": PASSWORD, "audience": "cars" });
        access_token(self.http.post(self.url("/auth/login")).json(&login).send().await?).await
    }
}

async fn access_token(response: Response) -> Result<String> {
    Ok(text(&checked(response).await?, "access_token")?.to_owned())
}

fn text<'a>(answer: &'a Value, member: &str) -> Result<&'a str> {
    answer.get(member).and_then(Value::as_str).with_context(|| format!("no {member} in an answer"))
}

/// The body of an answer that is good.
async fn checked(response: Response) -> Result<Value> {
    let (status, url) = (response.status(), response.url().clone());
    let body = response.bytes().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", String::from_utf8_lossy(&body));
    }
    if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body)?) }
}
