//! The demo services, as configured.

use std::future::Future;

use futures_util::future::BoxFuture;
use propusk_verify::axum::Listener;

use super::needs::{Needs, Upwards, feed_options};
use super::part::Service;
use crate::config::{Config, OpsAccess};
use crate::exit::Failure;
use crate::tls::Tls;

/// What every service needs, with its secret read, and where `users` is for those that call it.
fn common(service: Service, config: &Config, tls: &Tls) -> Result<(demo_common::Config, String), Failure> {
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
    let (Some(upwards), Some(client_secret), Some(database), Some(users_url)) =
        (upwards, client_secret, database, users_url)
    else {
        return Err(Needs::bug());
    };
    let common = demo_common::Config {
        issuer: upwards.issuer,
        feed: upwards.feed,
        authority: upwards.authority,
        client_id: service.name().to_owned(),
        client_secret,
        roots_pem: tls.roots_pem.clone(),
        database,
        feed_options: feed_options(config),
        max_staleness: config.verify_max_staleness,
        past_bound: config.verify_past_bound.into(),
        leeway: config.token_leeway,
        debug_headers: config.debug_decision_headers,
        ops_anywhere: config.listen_ops == OpsAccess::Anywhere,
    };
    Ok((common, users_url))
}

/// Checks the configuration of a service; the future serves it until `shutdown`.
pub(super) fn serving(
    service: Service,
    config: &Config,
    tls: &Tls,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<BoxFuture<'static, anyhow::Result<()>>, Failure> {
    let (common, users_url) = common(service, config, tls)?;
    Ok(match service {
        Service::Users => Box::pin(async move { Ok(demo_users::serve(listener, common, shutdown).await?) }),
        Service::Posts => {
            let config = demo_posts::Config { common, users_url };
            Box::pin(async move { Ok(demo_posts::serve(listener, config, shutdown).await?) })
        }
        Service::Cars => {
            let config = demo_cars::Config { common, users_url };
            Box::pin(async move { Ok(demo_cars::serve(listener, config, shutdown).await?) })
        }
    })
}
