//! `posts`: what people write, shown with their names, which another service keeps. An example to copy from.
//!
//! | call | class, who |
//! |---|---|
//! | `GET /posts` | ordinary, any token |
//! | `POST /posts` | ordinary, people |
//! | `GET /posts/-/whoami`, `GET /posts/-/whoami/elite` | ordinary, elite; any token |
//!
//! What a route demands is said where it is declared, in `routes`. How one service calls another in the name of its
//! caller is in `authors`.

#[cfg(test)]
#[path = "../../testing.rs"]
mod testing;
#[cfg(test)]
mod tests;

mod authors;
mod posts;
mod schema;

use axum::Router;
use axum::routing::{get, post};
use demo_common::Service;
use demo_common::db::Db;
use propusk_verify::Verifier;
use propusk_verify::axum::{Listener, whoami};

use crate::authors::Authors;

pub use demo_common::StartError;

/// Our own id: the audience of the tokens that we take.
const SERVICE: &str = "posts";

/// All that the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service needs to know.
    pub common: demo_common::Config,
    /// Base URL of `users`, which knows the authors.
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
    let authors = Authors::new(config.http_client(authors::TIMEOUT)?, &users_url, config.token_exchange()?);
    let routes = routes(service.verifier(), Posts { db, authors });
    service.serve(listener, routes, shutdown).await;
    Ok(())
}

/// What every handler may use.
#[derive(Clone)]
struct Posts {
    db: Db,
    authors: Authors,
}

/// Every route with its class. Nothing is public.
fn routes(verifier: &Verifier, posts: Posts) -> Router {
    Router::new()
        .route("/posts", get(posts::list).layer(verifier.ordinary()))
        .route("/posts", post(posts::create).layer(verifier.ordinary()))
        .route("/posts/-/whoami", get(whoami).layer(verifier.ordinary()))
        .route("/posts/-/whoami/elite", get(whoami).layer(verifier.elite()))
        .with_state(posts)
}
