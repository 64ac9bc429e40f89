//! For axum: a layer that guards routes, extractors of what it proved, what every server answers beside its routes, and
//! a server with TLS that stops in time.
//!
//! ```
//! # fn example(verifier: propusk_verify::Verifier) -> axum::Router {
//! use axum::Router;
//! use axum::routing::{get, post};
//! use propusk_verify::axum::{Caller, EliteProof};
//!
//! async fn list(caller: Caller) -> String {
//!     format!("for {}", caller.claims().sub)
//! }
//! async fn buy(proof: EliteProof) -> String {
//!     format!("sold to {}", proof.permit().claims().sub)
//! }
//! Router::new()
//!     .route("/cars", get(list).layer(verifier.ordinary()))
//!     .route("/cars/{id}/buy", post(buy).layer(verifier.elite().permission("cars:buy")))
//! # }
//! ```

mod extract;
mod guard;
mod json;
mod listener;
mod metrics;
mod serve;
mod server;
mod whoami;

pub use extract::{Caller, EliteProof, NotGuarded};
pub use guard::{Guard, Guarded, bearer, refuse};
pub use json::{ApiError, StrictJson, problem_response};
pub use listener::Listener;
pub use metrics::Metrics;
pub use serve::{Ops, Readiness, RequestId, serve_router, serve_router_with};
pub use server::{DRAIN, Server, serve};
pub use whoami::whoami;
