//! The authority, as configured.

use propusk_core::keys::{Kek, Schedule};
use propusk_core::password::Blocklist;
use propusk_core::secret::PlainSecret;
use propusk_core::settings::{Argon2Settings, Settings};
use propusk_server::ServerConfig;

use super::blocklist;
use super::needs::Needs;
use crate::config::{Config, OpsAccess, Synchronous};
use crate::exit::{Exit, Failure};
use crate::private;

/// Holds the key-encryption key itself, where a file is not wanted.
pub(crate) const KEK_VARIABLE: &str = "PROPUSK_KEK";
/// Names the file with the secret of the client `bootstrap-admin`.
const BOOTSTRAP_VARIABLE: &str = "PROPUSK_BOOTSTRAP_ADMIN_SECRET_FILE";
/// A bootstrap secret that is shorter can be guessed: it is stored as a plain hash, like every client secret.
const SHORTEST_GOOD_SECRET: usize = 32;

/// What the authority needs, with the key-encryption key read and checked.
pub(crate) fn server_config(config: &Config) -> Result<ServerConfig, Failure> {
    let mut needs = Needs::default();
    let issuer = needs.value("issuer", config.issuer.as_ref());
    let database = needs.value("database.path", config.database_path.as_ref());
    let kek = read_kek(config, &mut needs);
    let blocklist = config.password_blocklist_file.as_deref().map(blocklist::read).transpose();
    let blocklist = blocklist.map_err(|problem| needs.wrong("password.blocklist_file", problem)).ok().flatten();
    needs.check()?;
    let (Some(issuer), Some(database), Some(kek)) = (issuer, database, kek) else { return Err(Needs::bug()) };
    Ok(ServerConfig {
        settings: settings(&issuer.0, config, blocklist.unwrap_or_default()),
        database,
        synchronous: match config.database_synchronous {
            Synchronous::Full => propusk_store::Synchronous::Full,
            Synchronous::Normal => propusk_store::Synchronous::Normal,
            Synchronous::Off => propusk_store::Synchronous::Off,
        },
        kek,
        hash_queue: usize::try_from(config.argon2_queue).unwrap_or(usize::MAX),
        throttle: config.throttle_enabled.then_some(config.throttle_max_delay),
        trusted_proxies: config.authority_trusted_proxies.parsed(),
        key_schedule: Schedule {
            settle: config.keys_settle,
            max_age: config.keys_jwks_max_age,
            rotate_every: config.keys_rotate_every,
        },
        publish_all_keys: config.keys_publish_all,
        lease: config.feed_lease,
        revoke_wait_limit: config.revoke_wait_limit,
        debug_decision_headers: config.debug_decision_headers,
        ops_anywhere: config.listen_ops == OpsAccess::Anywhere,
        bootstrap_admin_secret: None,
    })
}

fn settings(issuer: &str, config: &Config, password_blocklist: Blocklist) -> Settings {
    let length = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Settings {
        issuer: issuer.to_owned(),
        access_ttl: config.token_access_ttl,
        leeway: config.token_leeway,
        session_idle_ttl: config.session_idle_ttl,
        session_absolute_ttl: config.session_absolute_ttl,
        refresh_grace: config.refresh_grace,
        password_min_length: length(config.password_min_length),
        password_max_length: length(config.password_max_length),
        password_blocklist,
        argon2: Argon2Settings { m_kib: config.argon2_m_kib, t: config.argon2_t, p: config.argon2_p },
    }
}

/// The key-encryption key by itself.
pub(crate) fn kek(config: &Config) -> Result<Kek, Failure> {
    let mut needs = Needs::default();
    let kek = read_kek(config, &mut needs);
    needs.check()?;
    kek.ok_or_else(Needs::bug)
}

fn read_kek(config: &Config, needs: &mut Needs) -> Option<Kek> {
    let (place, text) = match (std::env::var(KEK_VARIABLE), &config.kek_file) {
        (Ok(text), _) => (KEK_VARIABLE.to_owned(), zeroize::Zeroizing::new(text)),
        (Err(_), Some(path)) => match private::read(path) {
            Ok(text) => (path.display().to_string(), text),
            Err(error) => {
                needs.wrong("kek.file", error.to_string());
                return None;
            }
        },
        (Err(_), None) => {
            needs.wrong("kek.file", format!("is not set, and {KEK_VARIABLE} is not either: one of them is needed"));
            return None;
        }
    };
    Kek::from_text(&text).map_err(|error| needs.wrong("kek.file", format!("{place}: {error}"))).ok()
}

/// The secret for the client `bootstrap-admin`, if the environment names a file with one.
pub(crate) fn bootstrap_secret() -> Result<Option<PlainSecret>, Failure> {
    let Some(path) = std::env::var_os(BOOTSTRAP_VARIABLE) else { return Ok(None) };
    let text = private::read(path.as_ref()).map_err(|error| Failure::new(Exit::Usage, error))?;
    if text.is_empty() {
        return Err(Failure::usage(format!("{BOOTSTRAP_VARIABLE}: {} is empty", path.to_string_lossy())));
    }
    if text.chars().count() < SHORTEST_GOOD_SECRET {
        tracing::warn!("the bootstrap secret is short: use at least {SHORTEST_GOOD_SECRET} random characters");
    }
    Ok(Some(PlainSecret::presented(text.as_str())))
}
