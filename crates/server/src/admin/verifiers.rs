//! `GET /admin/v1/verifiers`: the verifiers that were heard of in the last minute.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use propusk_core::env::Timestamp;
use serde::Serialize;

use crate::app::App;
use crate::error::Problem;
use crate::extract::{List, ListQuery};

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Verifier)]
pub(super) struct VerifierView {
    service: String,
    instance: String,
    version: String,
    #[schema(value_type = String, format = DateTime)]
    connected_at: Timestamp,
    connected: bool,
    applied_seq: u64,
    head_seq: u64,
    lag_ms: u64,
    lease_left_ms: u64,
    cache: CacheView,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Cache)]
pub(super) struct CacheView {
    entries: u64,
    hits: u64,
    misses: u64,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    ListQuery(page, pages): ListQuery,
) -> Result<Json<List<VerifierView>>, Problem> {
    let head_seq = app.feed.head();
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let views = app.feed.list().into_iter().map(|state| {
        let [entries, hits, misses] = state.cache;
        VerifierView {
            service: state.follower.service,
            instance: state.instance.to_string(),
            version: state.follower.version,
            connected_at: state.connected_at,
            connected: state.is_connected,
            applied_seq: state.acked,
            head_seq,
            lag_ms: millis(state.lag),
            lease_left_ms: millis(state.lease_left),
            cache: CacheView { entries, hits, misses },
        }
    });
    let key = |view: &VerifierView| format!("{}/{}", view.service, view.instance);
    pages.part(&page, views.collect(), key).map(Json)
}
