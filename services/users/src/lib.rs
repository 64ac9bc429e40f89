//! `users`: people and their accounts. An example to copy from.
//!
//! | call | class, who |
//! |---|---|
//! | `GET /users/me`, `GET /users/{user_id}`, `GET /users?ids=a,b` | ordinary, any token |
//! | `POST /users/me/debits` | elite, only `cars` acting for a person |
//! | `POST /users/debits/{reference}/void` | elite, only `cars` itself |
//! | `GET /users/-/whoami`, `GET /users/-/whoami/elite` | ordinary, elite; any token |
//!
//! What a route demands is said where it is declared, in `routes`; a handler takes what the check proved as an
//! argument, so that it cannot be called without one.

#[cfg(test)]
#[path = "../../testing.rs"]
mod testing;
#[cfg(test)]
mod tests;

mod authority;
mod debits;
mod people;
mod schema;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use demo_common::Service;
use demo_common::db::Db;
use propusk_verify::Verifier;
use propusk_verify::axum::{Listener, whoami};

use crate::authority::Authority;

pub use demo_common::{Config, StartError};

/// Our own id: the audience of the tokens that we take.
const SERVICE: &str = "users";

/// How long one call to the authority may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until `shutdown`. The authority need not be there yet: until it is, nobody is let in, and `/-/ready` says so.
///
/// # Errors
/// [`StartError`].
pub async fn serve(
    listener: impl Into<Listener>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let service = Service::start(SERVICE, &config)?;
    let db = config.open_database(schema::MIGRATIONS)?;
    let http = config.http_client(CALL_TIMEOUT)?;
    let authority = Authority::new(http, &config.authority, config.client_id, config.client_secret);
    let routes = routes(service.verifier(), Users { db, authority });
    service.serve(listener, routes, shutdown).await;
    Ok(())
}

/// What every handler may use.
#[derive(Clone)]
struct Users {
    db: Db,
    authority: Authority,
}

/// Every route with its class. Nothing is public.
fn routes(verifier: &Verifier, users: Users) -> Router {
    Router::new()
        .route("/users", get(people::batch).layer(verifier.ordinary()))
        .route("/users/me", get(people::me).layer(verifier.ordinary()))
        .route("/users/{user_id}", get(people::one).layer(verifier.ordinary()))
        .route("/users/me/debits", post(debits::create).layer(verifier.elite()))
        .route("/users/debits/{reference}/void", post(debits::void).layer(verifier.elite()))
        .route("/users/-/whoami", get(whoami).layer(verifier.ordinary()))
        .route("/users/-/whoami/elite", get(whoami).layer(verifier.elite()))
        .with_state(users)
}
