//! What an authority needs to have before it can serve: itself as a service, with a ring, its one role and the
//! built-in client.

use std::sync::Arc;

use propusk_core::audit::Actor;
use propusk_core::clients::AUTH_API;
use propusk_core::env::Env;
use propusk_core::id::{ClientId, Permission, ServiceId};
use propusk_core::keys::{self, FreshKey, KeyMaterialError};
use propusk_core::roles::{self, AUTHORITY_SERVICE, AssignError, DefineError, Definition};
use propusk_core::secret::PlainSecret;
use propusk_core::services::{self, ServiceError};
use propusk_core::sessions;
use propusk_core::store::{Client, GoneId, GrantType, Holder, Service, SigningAlg, StoreError, Tx};

use crate::app::{App, env};

/// Why the authority could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A key could not be made, or a stored one does not open.
    #[error("{0}")]
    Keys(String),
    /// Built-in data could not be written.
    #[error("built-in data: {0}")]
    Data(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyMaterialError> for BootstrapError {
    fn from(error: KeyMaterialError) -> Self {
        Self::Keys(error.to_string())
    }
}

impl From<ServiceError> for BootstrapError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => Self::Store(error),
            error => Self::Data(error.to_string()),
        }
    }
}

impl From<AssignError> for BootstrapError {
    fn from(error: AssignError) -> Self {
        match error {
            AssignError::Store(error) => Self::Store(error),
            error => Self::Data(error.to_string()),
        }
    }
}

impl From<DefineError> for BootstrapError {
    fn from(error: DefineError) -> Self {
        match error {
            DefineError::Store(error) => Self::Store(error),
            error => Self::Data(error.to_string()),
        }
    }
}

/// Makes what is missing, and checks that the key-encryption key opens what is there.
pub(crate) async fn ensure(app: &Arc<App>, bootstrap_admin: Option<PlainSecret>) -> Result<(), BootstrapError> {
    ensure_service(app, AUTHORITY_SERVICE, SigningAlg::Ed25519).await?;
    app.write(move |tx, env| {
        ensure_role(tx, env, AUTHORITY_SERVICE, roles::ADMIN_ROLE, &["propusk:*"])?;
        ensure_client(tx, auth_api(env))?;
        if let Some(secret) = &bootstrap_admin {
            ensure_bootstrap_admin(tx, env, secret)?;
        }
        Ok::<_, BootstrapError>(())
    })
    .await?;
    let active = app.read(|tx, _| tx.active_key(&authority_id())).await?;
    if let Some(key) = active {
        app.signer.probe(&key).map_err(|_| {
            BootstrapError::Keys(
                "the key-encryption key does not open the stored signing keys: use the one that this data was made with"
                    .to_owned(),
            )
        })?;
    }
    Ok(())
}

fn authority_id() -> ServiceId {
    roles::admin_role().service
}

/// A service with two keys, unless it is there, or was until an administrator deleted it.
pub(crate) async fn ensure_service(app: &Arc<App>, id: &str, alg: SigningAlg) -> Result<(), BootstrapError> {
    let id: ServiceId = parse(id)?;
    let known = id.clone();
    let is_known = app.read(move |tx, _| {
        Ok::<_, StoreError>(keys::has_active_key(tx, &known)? || tx.is_gone(&GoneId::Service(known))?)
    });
    if is_known.await? {
        return Ok(());
    }
    let service = Service {
        id,
        alg,
        resource_uri: None,
        access_ttl_s: None,
        rotate_every_s: None,
        created_at: env().now,
        version: 1,
    };
    let maker = Arc::clone(app);
    let made = tokio::task::spawn_blocking(move || {
        let active = FreshKey::generate(maker.signer.kek(), &service, env())?;
        let spare = FreshKey::generate(maker.signer.kek(), &service, env())?;
        Ok::<_, KeyMaterialError>((service, active, spare))
    });
    let (service, active, spare) = made.await.map_err(StoreError::failed)??;
    app.write(move |tx, env| services::create(tx, env, &Actor::system(), &service, active, spare)).await?;
    Ok(())
}

/// A role with these permissions, unless there is one of its name: what an administrator made of it stays.
pub(crate) fn ensure_role(
    tx: &mut dyn Tx,
    env: Env<'_>,
    service: &str,
    role: &str,
    permissions: &[&str],
) -> Result<(), BootstrapError> {
    let role = role_grant(service, role)?;
    if tx.is_gone(&GoneId::Service(role.service.clone()))? {
        return Ok(());
    }
    let permissions = permissions.iter().map(|text| parse(text)).collect::<Result<Vec<Permission>, _>>()?;
    Ok(roles::ensure(tx, env, &Actor::system(), &role, Definition { permissions, inherits: Vec::new() })?)
}

/// A client, unless one with its id is there, or was until an administrator deleted it; whether it was made.
pub(crate) fn ensure_client(tx: &mut dyn Tx, client: Client) -> Result<bool, BootstrapError> {
    Ok(!tx.is_gone(&GoneId::Client(client.id.clone()))? && tx.insert_client(&client)?)
}

fn auth_api(env: Env<'_>) -> Client {
    Client { first_party: true, ..Client::named(sessions::auth_api(), format!("{AUTH_API} (built in)"), env.now) }
}

fn ensure_bootstrap_admin(tx: &mut dyn Tx, env: Env<'_>, secret: &PlainSecret) -> Result<(), BootstrapError> {
    let id: ClientId = parse("bootstrap-admin")?;
    let made = ensure_client(
        tx,
        Client {
            secret: Some(secret.hash()),
            grant_types: vec![GrantType::ClientCredentials],
            audiences: vec![authority_id()],
            ..Client::named(id.clone(), "first administrator", env.now)
        },
    )?;
    if made {
        roles::give(tx, env, &Actor::system(), &Holder::Client(id), &roles::admin_role())?;
    }
    Ok(())
}

pub(crate) fn role_grant(service: &str, role: &str) -> Result<propusk_core::store::RoleGrant, BootstrapError> {
    Ok(propusk_core::store::RoleGrant { service: parse(service)?, role: parse(role)? })
}

pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, BootstrapError> {
    text.parse().map_err(|error: T::Err| BootstrapError::Data(format!("{text}: {error}")))
}
