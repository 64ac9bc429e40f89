//! The authority's database: ours, whole, of a schema that this program knows, and whose it is now.

use propusk_store::{Examination, OpenError, known_schema};

use super::finding::Findings;
use super::patient::{Patient, word};

const AREA: &str = "database";
/// The writer starts it over at a quarter of this.
const LARGE_LOG: u64 = 256 * 1024 * 1024;

/// The database, if there is more to be read in it.
pub(super) fn check(patient: &Patient, findings: &mut Findings) -> Option<Examination> {
    if patient.database.as_os_str().is_empty() {
        findings.wrong(AREA, "no database is named", "set database.path, or name a data directory: --data DIR");
        return None;
    }
    if !patient.database.exists() {
        let what = format!("{} is not there; the first start makes it", patient.database.display());
        if patient.running.is_some() {
            let mend = format!("end it, then: propusk restore FILE {}", patient.place());
            findings.wrong(AREA, format!("{} is gone while `up` runs", patient.database.display()), mend);
        } else {
            findings.fine(AREA, what);
        }
        return None;
    }
    holder(patient, findings);
    let examination = match Examination::of(&patient.database) {
        Ok(examination) => examination,
        Err(error) => {
            unreadable(patient, &error, findings);
            return None;
        }
    };
    let is_whole = pages(patient, &examination, findings);
    let is_current = schema(&examination, findings);
    log_size(patient, findings);
    (is_whole && is_current).then_some(examination)
}

fn holder(patient: &Patient, findings: &mut Findings) {
    match propusk_store::holder(&patient.database) {
        Some(Some(pid)) => findings.fine(AREA, format!("in use by process {pid}")),
        Some(None) => findings.fine(AREA, "in use"),
        None => findings.fine(AREA, "nobody has it open"),
    }
}

fn unreadable(patient: &Patient, error: &OpenError, findings: &mut Findings) {
    let restore = || format!("put the newest backup in its place: propusk restore FILE {}", patient.place());
    match error {
        // They say what to do.
        OpenError::NewerSchema { .. } | OpenError::Foreign { .. } => findings.wrong_as_told(AREA, error),
        OpenError::NotADatabase { path } => {
            findings.wrong(AREA, format!("{} is not an SQLite database", path.display()), restore());
        }
        OpenError::Io { .. } => findings.wrong_as_told(AREA, error),
        _ => findings.wrong(AREA, error.to_string(), restore()),
    }
}

fn pages(patient: &Patient, examination: &Examination, findings: &mut Findings) -> bool {
    let faults = examination.faults().unwrap_or_else(|error| vec![error.to_string()]);
    if faults.is_empty() {
        findings.fine(AREA, "every page, index and reference is sound");
        return true;
    }
    let mend = format!(
        "keep a copy of {0}* and put the newest backup in its place: propusk restore FILE {1}",
        word(&patient.database),
        patient.place()
    );
    for fault in faults {
        findings.wrong(AREA, format!("damaged: {}", fault.replace('\n', "; ")), mend.clone());
    }
    false
}

fn schema(examination: &Examination, findings: &mut Findings) -> bool {
    let (found, known) = (examination.schema(), known_schema());
    if found == known {
        findings.fine(AREA, format!("schema version {found}"));
        return true;
    }
    let what = format!("schema version {found}; this program writes {known}");
    findings.warn(
        AREA,
        what,
        "the next start brings it up to date, and there is no way back: keep a backup from before",
    );
    false
}

fn log_size(patient: &Patient, findings: &mut Findings) {
    let mut wal = patient.database.as_os_str().to_owned();
    wal.push("-wal");
    let Ok(metadata) = std::path::Path::new(&wal).metadata() else { return };
    if metadata.len() >= LARGE_LOG {
        let what = format!("its write-ahead log has {} MiB", metadata.len() / 1024 / 1024);
        findings.warn(AREA, what, "start the authority again: a start moves the log into the database");
    }
}
