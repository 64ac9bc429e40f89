//! `POST /admin/v1/backup`: a copy of the whole database, as of one moment.
//!
//! It has everything that the authority has but the key-encryption key: whoever holds both is the authority.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use propusk_core::store::StoreError;
use propusk_store::{Backup, BackupError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// The registered type of an SQLite database.
pub(super) const KIND: &str = "application/vnd.sqlite3";
/// RFC 9530.
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const PART: usize = 64 * 1024;
/// Who takes nothing for so long is not waited for: meanwhile nobody else can make a backup.
const STALLED: Duration = Duration::from_secs(60);

pub(super) async fn make(State(app): State<Arc<App>>, Caller(actor): Caller) -> Result<Response, Problem> {
    // Before: so it is in the backup itself, and known also of one that breaks off.
    app.write(move |tx, env| {
        let entry = propusk_core::store::AuditEntry { subject: "propusk".to_owned(), ..actor.entry("backup", "ok") };
        tx.append_audit(&entry, env.now)
    })
    .await?;
    let backup = app.store.backup().await?;
    let digest = format!("sha-256=:{}:", Base64::encode_string(&backup.sha256));
    let headers = [
        (header::CONTENT_TYPE, KIND.to_owned()),
        (header::CONTENT_LENGTH, backup.length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (DIGEST, digest),
    ];
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(send(backup, sender));
    Ok((headers, Body::from_stream(ReceiverStream::new(parts))).into_response())
}

/// Hands the copy on as fast as it is taken. If that breaks off, the answer is shorter than it says.
async fn send(backup: Backup, parts: mpsc::Sender<io::Result<Bytes>>) {
    let Backup { mut file, turn, .. } = backup;
    loop {
        let Ok(Ok(place)) = tokio::time::timeout(STALLED, parts.reserve()).await else {
            tracing::warn!("a backup was not taken to its end");
            break;
        };
        let Ok((back, read)) = tokio::task::spawn_blocking(move || part_of(file)).await else { break };
        file = back;
        match read {
            Ok(part) if part.is_empty() => break,
            Ok(part) => place.send(Ok(part)),
            Err(error) => {
                tracing::error!(%error, "the copy of the database cannot be read");
                place.send(Err(error));
                break;
            }
        }
    }
    drop(turn);
}

fn part_of(mut file: File) -> (File, io::Result<Bytes>) {
    let mut part = Vec::with_capacity(PART);
    let read = file.by_ref().take(PART as u64).read_to_end(&mut part);
    (file, read.map(|_| part.into()))
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Running => Self::new(StatusCode::CONFLICT, "backup-running", "A backup is being made")
                .detail("One at a time: try again when it is done."),
            error @ BackupError::Failed { .. } => StoreError::failed(error).into(),
        }
    }
}
