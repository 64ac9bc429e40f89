//! Routes and what is written about them, put together in one place: a call that is served is in the OpenAPI document
//! at `/admin/v1/openapi.json`, and the other way round. What is written of a call's query is all that it takes.
//!
//! **To add a call**: a handler, and in its area's `routes` one line that names both it and what it [`says`].

mod document;
mod operation;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::map_request_with_state;
use axum::routing::{self, MethodRouter};
use propusk_verify::axum::Guard;

pub(crate) use document::{Document, serve};
pub(crate) use operation::{Operation, says};

use crate::app::App;
use crate::extract::only_known_parameters;

/// Routes with their documentation.
pub(crate) struct Api {
    router: Router<Arc<App>>,
    paths: Vec<DocumentedPath>,
}

/// A path and what can be done there, by method.
pub(crate) struct DocumentedPath {
    path: String,
    operations: Vec<(&'static str, Operation)>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Vec::new() }
    }

    /// A path of its own.
    pub(crate) fn route(mut self, path: &str, endpoint: Endpoint) -> Self {
        self.router = Router::route(self.router, path, endpoint.methods);
        self.paths.push(DocumentedPath { path: path.to_owned(), operations: endpoint.operations });
        self
    }

    /// All of `inner`, below a prefix.
    pub(crate) fn nest(mut self, prefix: &str, inner: Self) -> Self {
        self.router = self.router.nest(prefix, inner.router);
        let below = inner.paths.into_iter().map(|it| DocumentedPath { path: format!("{prefix}{}", it.path), ..it });
        self.paths.extend(below);
        self
    }

    /// All of `other`.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.paths.extend(other.paths);
        self
    }

    /// Guards everything so far.
    pub(crate) fn guarded(mut self, guard: Guard) -> Self {
        self.router = self.router.layer(guard);
        self
    }

    /// The routes and the document.
    pub(crate) fn finish(self) -> (Router<Arc<App>>, Document) {
        (self.router, Document::of(self.paths))
    }
}

/// What is served at one path.
pub(crate) struct Endpoint {
    methods: MethodRouter<Arc<App>, Infallible>,
    operations: Vec<(&'static str, Operation)>,
}

impl Endpoint {
    /// Guards what is served so far.
    pub(crate) fn guarded(mut self, guard: Guard) -> Self {
        self.methods = self.methods.layer(guard);
        self
    }
}

macro_rules! methods {
    (first: $($first:ident)*; further: $($name:ident)*) => {
        $(pub(crate) fn $first<H: Handler<T, Arc<App>>, T: 'static>(handler: H, operation: Operation) -> Endpoint {
            let methods = match operation.only_parameters() {
                Some(known) => routing::$first(handler.layer(map_request_with_state(known, only_known_parameters))),
                None => routing::$first(handler),
            };
            Endpoint { methods, operations: vec![(stringify!($first), operation)] }
        })*

        impl Endpoint {
            $(pub(crate) fn $name<H: Handler<T, Arc<App>>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
                self.methods = match operation.only_parameters() {
                    Some(known) => {
                        self.methods.$name(handler.layer(map_request_with_state(known, only_known_parameters)))
                    }
                    None => self.methods.$name(handler),
                };
                self.operations.push((stringify!($name), operation));
                self
            })*
        }
    };
}

methods! { first: get post put delete; further: post put patch delete }
