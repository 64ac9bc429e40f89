//! The demo's data: three services, two people, an administrator, six clients. Made by `up` and by nothing else, once:
//! from then on it is the administrator's, who may change and delete it like everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use propusk_core::audit::Actor;
use propusk_core::env::{Random as _, SystemRandom};
use propusk_core::id::{ClientId, ServiceId, UserId};
use propusk_core::password::Password;
use propusk_core::roles::{self, AUTHORITY_SERVICE};
use propusk_core::secret::{CLIENT_SECRET_PREFIX, PlainSecret};
use propusk_core::store::{Client, ExchangeRule, GrantType, Holder, SigningAlg, SubjectKind, Tx, User};
use propusk_core::users::{self, NewUser};

use crate::app::{App, env};
use crate::bootstrap::{BootstrapError, ensure_client, ensure_role, ensure_service, parse, role_grant};
use crate::{Authority, ServerConfig, StartError};

/// What was made. A secret is there only if it was made by this very call: no one can read it back.
#[derive(Debug)]
pub struct DemoData {
    /// `admin`, unless there is nobody of this name any more.
    pub admin: Option<DemoUser>,
    /// `alice` and `bob`, as far as they are still there.
    pub users: Vec<DemoUser>,
    /// The six clients, in the order of the documentation.
    pub clients: Vec<DemoClient>,
}

/// A person of the demo.
#[derive(Debug)]
pub struct DemoUser {
    /// Sign-in name.
    pub username: String,
    /// `sub`.
    pub id: String,
    /// Plain password, if this call made it.
    pub password: Option<PlainSecret>,
}

impl DemoUser {
    fn of_before(user: User) -> Self {
        Self { username: user.username, id: user.id.to_string(), password: None }
    }
}

/// A client of the demo.
#[derive(Debug)]
pub struct DemoClient {
    /// `client_id`.
    pub client_id: String,
    /// Plain secret, if this call made it.
    pub secret: Option<PlainSecret>,
}

/// That it was made, as [`Done`](propusk_core::store::Done) has it.
const DEMO: &str = "demo";

const SERVICES: [(&str, SigningAlg); 3] =
    [("users", SigningAlg::Ed25519), ("posts", SigningAlg::Rs256), ("cars", SigningAlg::Ed25519)];

struct ClientPlan {
    id: &'static str,
    first_party: bool,
    grants: &'static [GrantType],
    audiences: &'static [&'static str],
}

const ALL_AUDIENCES: &[&str] = &["propusk", "users", "posts", "cars"];
const SERVICE_GRANTS: &[GrantType] = &[GrantType::ClientCredentials, GrantType::TokenExchange];
const SIGN_IN_GRANTS: &[GrantType] = &[GrantType::Password, GrantType::RefreshToken];

const CLIENTS: [ClientPlan; 6] = [
    ClientPlan { id: "gateway", first_party: true, grants: SIGN_IN_GRANTS, audiences: ALL_AUDIENCES },
    ClientPlan { id: "users", first_party: false, grants: SERVICE_GRANTS, audiences: &[] },
    ClientPlan { id: "posts", first_party: false, grants: SERVICE_GRANTS, audiences: &["users"] },
    ClientPlan { id: "cars", first_party: false, grants: SERVICE_GRANTS, audiences: &["users"] },
    ClientPlan {
        id: "demo-m2m",
        first_party: false,
        grants: &[GrantType::ClientCredentials],
        audiences: &["users", "posts", "cars"],
    },
    ClientPlan { id: "demo-first-party", first_party: true, grants: SIGN_IN_GRANTS, audiences: ALL_AUDIENCES },
];

/// Makes the demo's data, or what is missing of it if an earlier start broke off. `kept` are secrets that such a start
/// kept for its own parts: a client that has to be made anew gets the kept one.
///
/// # Errors
/// When a key cannot be made or the store fails.
pub async fn ensure(authority: &Authority, kept: BTreeMap<String, PlainSecret>) -> Result<DemoData, BootstrapError> {
    ensure_in(&authority.app, kept).await
}

/// The same on data that no authority serves yet. It grants no lease, so the one that is started next on this data has
/// none to wait for.
///
/// # Errors
/// [`StartError`].
pub async fn prepare(config: ServerConfig, kept: BTreeMap<String, PlainSecret>) -> Result<DemoData, StartError> {
    let (app, _) = crate::open(ServerConfig { lease: Duration::ZERO, ..config }).await?;
    let made = ensure_in(&app, kept).await;
    app.store.close().await;
    Ok(made?)
}

async fn ensure_in(app: &Arc<App>, kept: BTreeMap<String, PlainSecret>) -> Result<DemoData, BootstrapError> {
    if app.read(|tx, _| tx.is_done(DEMO)).await? {
        return as_it_is(app).await;
    }
    let made = make(app, kept).await?;
    app.write(|tx, env| tx.set_done(DEMO, env.now)).await?;
    Ok(made)
}

/// What an administrator left of it.
async fn as_it_is(app: &App) -> Result<DemoData, BootstrapError> {
    let found = |username: &'static str| async move {
        let user = app.read(move |tx, _| tx.user_by_username(username)).await?;
        Ok::<_, BootstrapError>(user.map(DemoUser::of_before))
    };
    let users = [found("alice").await?, found("bob").await?].into_iter().flatten().collect();
    let clients = CLIENTS.iter().map(|plan| DemoClient { client_id: plan.id.to_owned(), secret: None }).collect();
    Ok(DemoData { admin: found("admin").await?, users, clients })
}

async fn make(app: &Arc<App>, kept: BTreeMap<String, PlainSecret>) -> Result<DemoData, BootstrapError> {
    for (id, alg) in SERVICES {
        ensure_service(app, id, alg).await?;
    }
    app.reload_rings().await?;
    let clients = app
        .write(move |tx, _| {
            ensure_role(tx, env(), "cars", "buyer", &["cars:buy"])?;
            ensure_role(tx, env(), "cars", "admin", &["cars:buy", "cars:create", "cars:delete"])?;
            let clients = ensure_clients(tx, &kept)?;
            ensure_exchange_rules(tx)?;
            Ok::<_, BootstrapError>(clients)
        })
        .await?;
    let admin = ensure_user(app, "admin", &[("cars", "admin"), (AUTHORITY_SERVICE, roles::ADMIN_ROLE)]).await?;
    let alice = ensure_user(app, "alice", &[("cars", "buyer")]).await?;
    let bob = ensure_user(app, "bob", &[]).await?;
    Ok(DemoData { admin: Some(admin), users: vec![alice, bob], clients })
}

fn ensure_clients(tx: &mut dyn Tx, kept: &BTreeMap<String, PlainSecret>) -> Result<Vec<DemoClient>, BootstrapError> {
    let mut made = Vec::new();
    for plan in CLIENTS {
        let id: ClientId = parse(plan.id)?;
        let secret =
            kept.get(plan.id).cloned().unwrap_or_else(|| PlainSecret::generate(CLIENT_SECRET_PREFIX, &SystemRandom));
        let is_new = ensure_client(
            tx,
            Client {
                secret: Some(secret.hash()),
                first_party: plan.first_party,
                grant_types: plan.grants.to_vec(),
                audiences: plan.audiences.iter().map(|aud| parse(aud)).collect::<Result<_, _>>()?,
                ..Client::named(id.clone(), format!("demo: {}", plan.id), env().now)
            },
        )?;
        if is_new && plan.id == "demo-m2m" {
            roles::give(tx, env(), &Actor::system(), &Holder::Client(id), &role_grant("cars", "buyer")?)?;
        }
        made.push(DemoClient { client_id: plan.id.to_owned(), secret: is_new.then_some(secret) });
    }
    Ok(made)
}

/// `posts` and `cars` may turn their callers' tokens into tokens for `users`.
fn ensure_exchange_rules(tx: &mut dyn Tx) -> Result<(), BootstrapError> {
    let audience: ServiceId = parse("users")?;
    for actor in ["posts", "cars"] {
        let rule = ExchangeRule {
            actor: parse(actor)?,
            audience: audience.clone(),
            subjects: vec![SubjectKind::User, SubjectKind::Client],
            from: vec![parse(actor)?],
        };
        // An administrator may have deleted either of them.
        let is_possible = tx.client(&rule.actor)?.is_some() && tx.service(&rule.audience)?.is_some();
        if is_possible && tx.exchange_rule(&rule.actor, &rule.audience)?.is_none() {
            tx.put_exchange_rule(&rule)?;
        }
    }
    Ok(())
}

async fn ensure_user(app: &App, username: &'static str, held: &[(&str, &str)]) -> Result<DemoUser, BootstrapError> {
    if let Some(user) = app.read(move |tx, _| tx.user_by_username(username)).await? {
        return Ok(DemoUser::of_before(user));
    }
    let plain = generate_password();
    let password = Password::to_check(plain.expose()).ok_or_else(|| BootstrapError::Data("password".to_owned()))?;
    let password_hash = app.hashing.hash(password).await.map_err(|error| BootstrapError::Data(error.to_string()))?;
    let new = NewUser { username: username.to_owned(), email: None, password_hash: Some(password_hash) };
    let held = held.iter().map(|(service, role)| role_grant(service, role)).collect::<Result<Vec<_>, _>>()?;
    let id: UserId = app
        .write(move |tx, env| {
            let user = users::register(tx, env, &Actor::system(), new)
                .map_err(|error| BootstrapError::Data(error.to_string()))?;
            for role in &held {
                roles::give(tx, env, &Actor::system(), &Holder::User(user.id.clone()), role)?;
            }
            Ok::<_, BootstrapError>(user.id)
        })
        .await?;
    Ok(DemoUser { username: username.to_owned(), id: id.to_string(), password: Some(plain) })
}

/// 120 random bits in five groups that can be typed.
fn generate_password() -> PlainSecret {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bits = zeroize::Zeroizing::new([0_u8; 25]);
    SystemRandom.fill(bits.as_mut());
    let text: String = bits
        .iter()
        .enumerate()
        .flat_map(|(n, byte)| {
            let letter = LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a');
            let dash = (n > 0 && n % 5 == 0).then_some('-');
            dash.into_iter().chain(std::iter::once(char::from(letter)))
        })
        .collect();
    PlainSecret::presented(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use propusk_core::keys::{Kek, Schedule};
    use propusk_core::settings::{Argon2Settings, Settings};

    use super::*;

    pub(crate) fn config(data: &Path, kek: &str) -> ServerConfig {
        let mut settings = Settings::new("https://id.example");
        settings.argon2 = Argon2Settings { m_kib: 8, t: 1, p: 1 };
        ServerConfig {
            settings,
            database: data.join("authority.db"),
            synchronous: propusk_store::Synchronous::Off,
            kek: Kek::from_text(kek).unwrap(),
            hash_queue: 8,
            throttle: None,
            trusted_proxies: Vec::new(),
            key_schedule: Schedule { settle: Duration::ZERO, max_age: Duration::ZERO, rotate_every: Duration::ZERO },
            publish_all_keys: false,
            lease: Duration::from_secs(3),
            revoke_wait_limit: Duration::from_secs(5),
            debug_decision_headers: false,
            ops_anywhere: false,
            bootstrap_admin_secret: None,
        }
    }

    /// An authority with the demo data in a directory of its own.
    pub(crate) async fn opened(data: &Path) -> Arc<App> {
        opened_with(data, |_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn opened_with(data: &Path, change: impl FnOnce(&mut Settings)) -> Arc<App> {
        let kek = Kek::generate_text(&SystemRandom);
        prepare(config(data, &kek), BTreeMap::new()).await.unwrap();
        let mut config = config(data, &kek);
        change(&mut config.settings);
        crate::open(config).await.unwrap().0
    }

    #[tokio::test]
    async fn the_authority_after_a_preparation_calls_things_enforced_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::generate_text(&SystemRandom);
        let made = prepare(config(dir.path(), &kek), BTreeMap::new()).await.unwrap();
        assert!(made.admin.unwrap().password.is_some() && made.users.len() == 2 && made.clients.len() == 6);
        let is_enforced_at_once = async || {
            let (app, _) = crate::open(config(dir.path(), &kek)).await.unwrap();
            let waited = app.feed.enforced(app.feed.head(), Duration::ZERO).await;
            app.store.close().await;
            waited.is_enforced
        };
        assert!(is_enforced_at_once().await);
        // After one that may have granted leases it has to wait, and no preparation in between changes that.
        prepare(config(dir.path(), &kek), BTreeMap::new()).await.unwrap();
        assert!(!is_enforced_at_once().await);
    }

    #[test]
    fn generated_passwords_satisfy_our_own_rules() {
        let settings = propusk_core::settings::Settings::new("https://issuer.example");
        let first = generate_password();
        assert!(Password::to_set(first.expose(), &settings, &[]).is_ok());
        assert_eq!(first.expose().split('-').map(str::len).collect::<Vec<_>>(), [5; 5]);
        assert!(first != generate_password());
    }
}
