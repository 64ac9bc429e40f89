//! The demo services, as configured.

use std::future::Future;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use propusk_verify::axum::Listener;
use zeroize::Zeroizing;

use super::needs::{Needs, Upwards, feed_options};
use super::part::Service;
use crate::config::{Config, OpsAccess};
use crate::exit::Failure;
use crate::tls::Tls;

/// What every demo service needs, with its secret read.
struct Common {
    upwards: Upwards,
    client_secret: Zeroizing<String>,
    database: PathBuf,
    /// Of those that call `users`; empty for `users` itself.
    users_url: String,
}

fn common(service: Service, config: &Config) -> Result<Common, Failure> {
    let mut needs = Needs::default();
    let upwards = Upwards::of(config, &mut needs);
    let client_secret = needs.secret("demo.client_secret_file", config.demo_client_secret_file.as_ref());
    let database = needs.value("database.path", config.database_path.as_ref());
    let users_url = match service {
        Service::Users => Some(String::new()),
        Service::Posts | Service::Cars => {
            needs.value("demo.users_url", config.demo_users_url.as_ref()).map(|url| url.0)
        }
    };
    needs.check()?;
    match (upwards, client_secret, database, users_url) {
        (Some(upwards), Some(client_secret), Some(database), Some(users_url)) => {
            Ok(Common { upwards, client_secret, database, users_url })
        }
        _ => Err(Needs::bug()),
    }
}

/// The members that all three configurations share, and those of one.
macro_rules! service_config {
    ($of:ident, $service:expr, $config:expr, $tls:expr, $common:expr $(, $more:ident)*) => {
        $of::Config {
            issuer: $common.upwards.issuer,
            feed: $common.upwards.feed,
            authority: $common.upwards.authority,
            client_id: $service.name().to_owned(),
            client_secret: $common.client_secret,
            roots_pem: $tls.roots_pem.clone(),
            database: $common.database,
            feed_options: feed_options($config),
            max_staleness: $config.verify_max_staleness,
            past_bound: $config.verify_past_bound.into(),
            leeway: $config.token_leeway,
            debug_headers: $config.debug_decision_headers,
            ops_anywhere: $config.listen_ops == OpsAccess::Anywhere,
            $($more: $common.$more,)*
        }
    };
}

/// Checks the configuration of a service; the future serves it until `shutdown`.
pub(super) fn serving(
    service: Service,
    config: &Config,
    tls: &Tls,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<BoxFuture<'static, anyhow::Result<()>>, Failure> {
    let common = common(service, config)?;
    Ok(match service {
        Service::Users => {
            let config = service_config!(demo_users, service, config, tls, common);
            Box::pin(async move { Ok(demo_users::serve(listener, config, shutdown).await?) })
        }
        Service::Posts => {
            let config = service_config!(demo_posts, service, config, tls, common, users_url);
            Box::pin(async move { Ok(demo_posts::serve(listener, config, shutdown).await?) })
        }
        Service::Cars => {
            let config = service_config!(demo_cars, service, config, tls, common, users_url);
            Box::pin(async move { Ok(demo_cars::serve(listener, config, shutdown).await?) })
        }
    })
}
