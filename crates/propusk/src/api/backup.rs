//! `propusk backup`: the authority's database into a file, whole and checked or not at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64ct::{Base64, Encoding as _};
use propusk_core::store::{AuditFilter, StoreError};
use propusk_store::{Examination, digest_of, known_schema};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::Api;
use crate::cli::BackupArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, DIM, GREEN, YELLOW, paint};

/// What has to be kept beside it: without the first a backup is of use, but what else was sealed is lost.
const NOT_IN_IT: &str = "The key-encryption key is not in it, and neither are client secrets, the gateway's cookie key and the data of the services. Of `up` that is kek, cookie-key, clients/ and the other *.db in the data directory. Keep the key-encryption key elsewhere: whoever has both has every key";

/// Runs it.
pub(crate) async fn run(args: BackupArgs) -> Outcome {
    refuse_existing(&args.file)?;
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("{} cannot be written", args.file.display());
    let api = Api::connect(&args.api).await?;
    // Mode 0600, and gone if anything below fails.
    let mut copy = tempfile::Builder::new().prefix(".propusk-backup-").tempfile_in(folder).with_context(cannot)?;
    let headers = api
        .download("/admin/v1/backup", |part| copy.write_all(part).with_context(cannot).map_err(Failure::from))
        .await?;
    copy.as_file().sync_all().with_context(cannot)?;
    let report = checked(copy.path(), &headers)?;
    copy.persist_noclobber(&args.file).map_err(|error| error.error).with_context(cannot)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    tell(&args, report);
    Ok(Exit::Done)
}

/// A slip must not replace what may be the only backup, or the database itself.
fn refuse_existing(file: &Path) -> Result<(), Failure> {
    match file.symlink_metadata() {
        Ok(_) => Err(Failure::usage(format!(
            "{} is there already: name another file, or take that one away first",
            file.display()
        ))),
        Err(_) => Ok(()),
    }
}

struct Report {
    bytes: u64,
    sha256: String,
    head: u64,
    made_at: Option<String>,
}

/// Length and digest are as the authority says, and it is a sound database.
fn checked(path: &Path, headers: &HeaderMap) -> Result<Report, Failure> {
    let (bytes, sha256) = File::open(path).and_then(|mut file| digest_of(&mut file)).context("it cannot be read")?;
    let told = headers.get("repr-digest").and_then(|digest| digest.to_str().ok());
    if told != Some(format!("sha-256=:{}:", Base64::encode_string(&sha256)).as_str()) {
        return Err(
            anyhow::anyhow!("what arrived is not what the authority sent: its digest differs. Try again").into()
        );
    }
    let examination = Examination::of(path).context("what arrived is no backup")?;
    let faults = examination.faults().context("what arrived is no backup")?;
    if !faults.is_empty() {
        let advice =
            "the authority's own database is damaged: see `propusk doctor`, and keep the backups that there are";
        return Err(anyhow::anyhow!("{}: {advice}", faults.join("; ")).into());
    }
    let (head, _) = examination.head_and_longest_lease().context("it cannot be read")?;
    let made_at = made_at(&examination).context("it cannot be read")?;
    let sha256 = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Report { bytes, sha256, head, made_at })
}

/// The authority notes each backup before it makes it, so each tells when it was made.
pub(crate) fn made_at(examination: &Examination) -> Result<Option<String>, StoreError> {
    if examination.schema() != known_schema() {
        return Ok(None);
    }
    let filter = AuditFilter { action: Some("backup".to_owned()), ..AuditFilter::default() };
    let last = examination.read(|tx| tx.audit_entries(&filter, None, 1))?;
    Ok(last.first().map(|entry| entry.at.to_string()))
}

fn tell(args: &BackupArgs, report: Report) {
    let Report { bytes, sha256, head, made_at } = report;
    let file: PathBuf = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    if args.api.json {
        let schema: Value = known_schema().into();
        let document = json!({"file": file, "bytes": bytes, "sha256": sha256, "schema": schema, "head_seq": head, "made_at": made_at});
        return output::line(&document.to_string());
    }
    let as_of = made_at.map(|at| format!(" as of {at}")).unwrap_or_default();
    output::line(&format!("{} {}: {} KiB{as_of}, checked", paint(GREEN, "✓"), file.display(), bytes.div_ceil(1024)));
    output::line(&paint(DIM, &format!("  SHA-256 {sha256}")));
    output::line(&format!("{} {NOT_IN_IT}.", paint(YELLOW, "!")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.db");
        refuse_existing(&file).unwrap();
        std::fs::write(&file, "x").unwrap();
        assert_eq!(refuse_existing(&file).unwrap_err().exit, Exit::Usage);
        let dangling = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
        refuse_existing(&dangling).unwrap_err();
    }

    #[test]
    fn what_arrived_cut_short_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        std::fs::write(&path, "half").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", "sha-256=:AAAA:".parse().unwrap());
        for headers in [HeaderMap::new(), headers] {
            assert_eq!(checked(&path, &headers).err().map(|failure| failure.exit), Some(Exit::Failed));
        }
    }
}
