//! All parts in this process.

use std::collections::BTreeMap;

use anyhow::Context as _;
use propusk_core::secret::PlainSecret;
use propusk_server::demo::{self, DemoData};

use super::plan::{Plan, Sockets};
use crate::exit::Failure;
use crate::serve::{self, DRAIN, Part, Serving, Stop};

/// A running system.
#[derive(Debug)]
pub(super) struct InProcess {
    /// Gateway and services: they stop first, so that they can take leave of the authority.
    front: Vec<Serving>,
    front_stop: Stop,
    authority: Serving,
    authority_stop: Stop,
}

/// Starts everything, the authority first. Not all of it may be ready yet.
pub(super) async fn start(
    plan: &Plan,
    mut sockets: Sockets,
    kept: BTreeMap<String, PlainSecret>,
) -> Result<(InProcess, DemoData), Failure> {
    let (front_stop, authority_stop) = (Stop::new(), Stop::new());
    let http = sockets.take(Part::Authority)?;
    let config = plan.config(Part::Authority);
    let authority = serve::start_authority(&config, &plan.tls, http, sockets.feed, &authority_stop).await?;
    let demo = demo::ensure(&authority, kept).await.context("the demo data cannot be made")?;
    let authority = serve::serving_authority(authority);
    let mut front = Vec::new();
    for (part, http) in sockets.http {
        front.push(serve::start(part, &plan.config(part), &plan.tls, http, &front_stop)?);
    }
    Ok((InProcess { front, front_stop, authority, authority_stop }, demo))
}

impl InProcess {
    /// The first part that ends although nobody asked for it, and what it says.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        let parts = self.front.iter_mut().chain(std::iter::once(&mut self.authority));
        let endings = parts.map(|serving| Box::pin(async { (serving.part, (&mut serving.ended).await) }));
        let ((part, ended), ..) = futures_util::future::select_all(endings).await;
        let error = match ended {
            Ok(Ok(())) => anyhow::anyhow!("it ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        };
        error.context(part.name())
    }

    /// Ends everything within [`DRAIN`], or a little more.
    pub(super) async fn stop(self) {
        self.front_stop.now();
        futures_util::future::join_all(self.front.into_iter().map(|serving| serve::finish(serving, DRAIN * 3 / 4)))
            .await;
        self.authority_stop.now();
        serve::finish(self.authority, DRAIN / 4).await;
    }
}
