//! The data directory and the files with secrets: whose they are, who can read them, and room for more.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use propusk_core::keys::Kek;

use super::finding::Findings;
use super::patient::{Patient, word};
use crate::private;
use crate::serve::KEK_VARIABLE;

const AREA: &str = "files";

pub(super) fn check(patient: &Patient, findings: &mut Findings) {
    kek(patient, findings);
    let Some(data) = &patient.data else {
        if let Some(folder) = patient.database.parent().filter(|folder| folder.is_dir()) {
            writable(folder, findings);
            room(folder, findings);
        }
        return;
    };
    if !data.is_dir() {
        let start = format!("start a system there: propusk up {}; or name another one: --data DIR", patient.place());
        return findings.wrong(AREA, format!("there is no data directory {}", data.display()), start);
    }
    folder_mode(data, findings);
    writable(data, findings);
    room(data, findings);
    secrets(data, findings);
    leftovers(data, patient, findings);
}

/// One of the two ways by which it comes.
fn kek(patient: &Patient, findings: &mut Findings) {
    let (place, text) = match (std::env::var(KEK_VARIABLE), patient.kek_file()) {
        (Ok(text), _) => (KEK_VARIABLE.to_owned(), zeroize::Zeroizing::new(text)),
        (Err(_), Some(path)) => match private::read(&path) {
            Ok(text) => (path.display().to_string(), text),
            Err(error) if error.is_missing() => return missing_kek(&path, patient, findings),
            Err(error) => return findings.wrong_as_told(AREA, error),
        },
        (Err(_), None) => {
            return findings.wrong(
                AREA,
                "no key-encryption key is named",
                format!("set kek.file to a file with one, or {KEK_VARIABLE} to the key itself"),
            );
        }
    };
    match Kek::from_text(&text) {
        Ok(_) => findings.fine(AREA, format!("key-encryption key in {place}")),
        Err(error) => {
            findings.wrong(AREA, format!("{place}: {error}"), "put back the key that this data was made with")
        }
    }
}

fn missing_kek(path: &Path, patient: &Patient, findings: &mut Findings) {
    if patient.database.exists() {
        let mend = format!(
            "put it back from where you keep it. If it is lost, no stored key opens any more: \
             `propusk feed restore {}` makes new ones under a new key-encryption key, and everybody signs in again",
            patient.place()
        );
        return findings.wrong(AREA, format!("the key-encryption key {} is missing", path.display()), mend);
    }
    findings.fine(AREA, format!("{} will be made by the first start", path.display()));
}

fn folder_mode(folder: &Path, findings: &mut Findings) {
    let Ok(metadata) = folder.metadata() else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        let what = format!("others can change what is in {} (mode {mode:04o})", folder.display());
        return findings.wrong(AREA, what, format!("chmod 700 {}", word(folder)));
    }
    if mode & 0o055 != 0 {
        let what = format!("others can see what is in {} (mode {mode:04o})", folder.display());
        return findings.warn(AREA, what, format!("chmod 700 {}", word(folder)));
    }
    findings.fine(AREA, format!("{} is its owner's alone", folder.display()));
}

fn writable(folder: &Path, findings: &mut Findings) {
    if access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok() {
        return;
    }
    let owner = |path: &Path| path.metadata().map(|metadata| metadata.uid()).unwrap_or_default();
    let (theirs, ours) = (owner(folder), owner(Path::new("/proc/self")));
    let what = format!("{} belongs to user {theirs} and cannot be written by this one, {ours}", folder.display());
    findings.wrong(AREA, what, "run propusk as that user, or give the directory to this one with chown");
}

const MIB: u64 = 1024 * 1024;
/// Below this nothing more can be relied on.
const LEAST_ROOM: u64 = 64 * MIB;
/// Below this it is time to look.
const LITTLE_ROOM: u64 = 1024 * MIB;

fn room(folder: &Path, findings: &mut Findings) {
    let Ok(disk) = statvfs(folder) else { return };
    #[allow(clippy::useless_conversion, reason = "the width of these differs between systems")]
    let left = u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()));
    judge_room(left, folder, findings);
}

pub(super) fn judge_room(left: u64, folder: &Path, findings: &mut Findings) {
    let what = format!("{} MiB are left on the disk of {}", left / MIB, folder.display());
    let mend = "make room, or move the data to a larger disk: nothing can be revoked on a full one";
    match left {
        0..LEAST_ROOM => findings.wrong(AREA, what, mend),
        LEAST_ROOM..LITTLE_ROOM => findings.warn(AREA, what, mend),
        LITTLE_ROOM.. => findings.fine(AREA, what),
    }
}

/// What else is for its owner's eyes only.
fn secrets(data: &Path, findings: &mut Findings) {
    let clients = std::fs::read_dir(data.join("clients")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = 0;
    for path in clients.chain([data.join("cookie-key")]).filter(|path| path.exists()) {
        match private::read(&path) {
            Ok(_) => found += 1,
            Err(error) => findings.wrong_as_told(AREA, error),
        }
    }
    for name in ["authority.db", "users.db", "posts.db", "cars.db"] {
        let path = data.join(name);
        let Ok(metadata) = path.metadata() else { continue };
        found += 1;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let what = format!("{} can be read by others than its owner (mode {mode:04o})", path.display());
            findings.wrong(AREA, what, format!("chmod 600 {}", word(&path)));
        }
    }
    findings.fine(AREA, format!("{found} files with secrets or data"));
}

/// What a restore or a backup left behind.
fn leftovers(data: &Path, patient: &Patient, findings: &mut Findings) {
    let names = std::fs::read_dir(data).into_iter().flatten().flatten();
    let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    if names.iter().any(|name| name == "authority.db.restoring") {
        let what = "a restore ended in the middle; the database is the one from before it";
        findings.warn(AREA, what, format!("do it again: propusk restore FILE {}", patient.place()));
    }
    if names.iter().any(|name| name == "authority.db.backup") && patient.running.is_none() {
        let path = data.join("authority.db.backup");
        findings.warn(AREA, "a backup ended in the middle", format!("rm {}", word(&path)));
    }
    for name in names.iter().filter(|name| name.starts_with("authority.db.before-") && !name.ends_with("-wal")) {
        let what = format!("{name} is what a restore replaced, with all its secrets");
        findings.warn(AREA, what, format!("when nothing of it is needed any more: rm {}*", word(&data.join(name))));
    }
}
