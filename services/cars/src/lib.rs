//! `cars`: cars for sale, paid from an account that another service keeps. An example to copy from.
//!
//! | call | class, who |
//! |---|---|
//! | `GET /cars`, `GET /cars/{car_id}` | ordinary, any token |
//! | `POST /cars/{car_id}/buy` | elite, people with `cars:buy`; a client, even with that role, has no account: 403 `people-only` |
//! | `POST /cars`, `DELETE /cars/{car_id}` | elite, `cars:create`, `cars:delete` |
//! | `GET /cars/-/whoami`, `GET /cars/-/whoami/elite` | ordinary, elite; any token |
//!
//! What a route demands is said where it is declared, in `routes`. How a purchase over two services neither charges
//! twice nor loses a sale is in `sale`.

#[cfg(test)]
#[path = "../../testing.rs"]
mod testing;
#[cfg(test)]
mod tests;

mod accounts;
mod buy;
mod catalogue;
mod recovery;
mod sale;
mod schema;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use demo_common::Service;
use demo_common::db::Db;
use propusk_verify::Verifier;
use propusk_verify::axum::{Listener, whoami};

use crate::accounts::Accounts;

pub use demo_common::StartError;

/// Our own id: the audience of the tokens that we take.
const SERVICE: &str = "cars";

/// How long one call to another service may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// All that the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service needs to know.
    pub common: demo_common::Config,
    /// Base URL of `users`, which keeps the accounts.
    pub users_url: String,
}

/// Serves until `shutdown`. The authority need not be there yet: until it is, nobody is let in, and `/-/ready` says so.
///
/// # Errors
/// [`StartError`].
pub async fn serve(
    listener: impl Into<Listener>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let Config { common: config, users_url } = config;
    let service = Service::start(SERVICE, &config)?;
    let db = config.open_database(schema::MIGRATIONS)?;
    let http = config.http_client(CALL_TIMEOUT)?;
    let (token_endpoint, exchange) = (config.token_endpoint(), config.token_exchange()?);
    let accounts = Accounts::new(http, &users_url, token_endpoint, config.client_id, config.client_secret, exchange);
    let cars = Cars { db, accounts };
    let routes = routes(service.verifier(), cars.clone());
    tokio::select! {
        () = service.serve(listener, routes, shutdown) => Ok(()),
        never = recovery::run(cars) => match never {},
    }
}

/// What every handler may use.
#[derive(Clone)]
struct Cars {
    db: Db,
    accounts: Accounts,
}

/// Every route with its class. Nothing is public.
fn routes(verifier: &Verifier, cars: Cars) -> Router {
    Router::new()
        .route("/cars", get(catalogue::list).layer(verifier.ordinary()))
        .route("/cars", post(catalogue::create).layer(verifier.elite().permission("cars:create")))
        .route("/cars/{car_id}", get(catalogue::one).layer(verifier.ordinary()))
        .route("/cars/{car_id}", delete(catalogue::remove).layer(verifier.elite().permission("cars:delete")))
        .route("/cars/{car_id}/buy", post(buy::buy).layer(verifier.elite().permission("cars:buy")))
        .route("/cars/-/whoami", get(whoami).layer(verifier.ordinary()))
        .route("/cars/-/whoami/elite", get(whoami).layer(verifier.elite()))
        .with_state(cars)
}
