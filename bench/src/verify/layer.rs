//! What the tower layer adds to a request of an axum service, beside the same service without it.

use std::hint::black_box;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use propusk_verify::cache::CacheLimits;
use propusk_verify::clock::{Clock as _, SystemClock};
use tower::Service as _;

use super::tokens::Signer;
use super::{Bench, Size, pair};
use crate::report::{Figure, Row};

/// So many callers, one after the other.
const LIVE: usize = 1000;

/// Both sides make the same request, token and all, and drop the same answer.
pub(super) fn row(size: Size) -> Row {
    let signer = Signer::ed25519();
    let now = SystemClock.unix_seconds();
    let tokens: Vec<String> = (0..LIVE).map(|number| signer.token(number, now)).collect();
    let bench = Bench::new(&signer, CacheLimits { entries: 8 * LIVE, bytes: 1 << 30 });
    bench.warm(&tokens);
    let credentials: Vec<String> = tokens.iter().map(|token| format!("Bearer {token}")).collect();
    let mut guarded = Router::new().route("/", get(constant).layer(bench.verifier.ordinary()));
    let mut open = Router::new().route("/", get(constant));
    let (mut at_guarded, mut at_open) = (credentials.iter().cycle(), credentials.iter().cycle());
    let measured = pair(
        size,
        &mut |count| at_guarded.by_ref().take(count).for_each(|credential| ask(&mut guarded, credential)),
        &mut |count| at_open.by_ref().take(count).for_each(|credential| ask(&mut open, credential)),
    );
    Row::new(
        "through the tower layer, an axum handler that returns a constant",
        "beside: the same request to the same handler bare; in process, 1000 live tokens, ordinary",
    )
    .with(Figure::new("one request", "ns", measured.ours).beside(measured.bare))
    .with(Figure::new("more than bare", "ns", measured.bare * (measured.ratio - 1.0)).at_most(1000.0))
}

async fn constant() -> &'static str {
    "constant"
}

fn ask(service: &mut Router, credential: &str) {
    let request = Request::builder().uri("/").header(AUTHORIZATION, credential).body(Body::empty()).expect("a request");
    let answer = service.call(request).now_or_never().expect("at once").expect("never an error");
    assert!(black_box(answer).status().is_success());
}
