//! Rings: a key that signs and a spare each, which the key-encryption key opens; and the secrets of our own clients.

use propusk_core::env::{Clock as _, SystemClock, Timestamp};
use propusk_core::id::ClientId;
use propusk_core::keys::{Kek, Ring, Signer};
use propusk_core::secret::PlainSecret;
use propusk_core::store::{Client, SealedKey, StoreError};
use propusk_store::Examination;

use super::finding::Findings;
use super::patient::{Patient, word};
use crate::private;
use crate::serve::KEK_VARIABLE;

const AREA: &str = "keys";
/// A rotation waits for verifiers, but not for so long.
const LONG_WAIT_MS: u64 = 3600 * 1000;

pub(super) fn check(patient: &Patient, examination: &Examination, findings: &mut Findings) {
    let rings = match examination.read::<_, StoreError>(|tx| Ring::read_all(tx)) {
        Ok(rings) => rings,
        Err(error) => return findings.wrong_as_told(AREA, error),
    };
    let signer = kek(patient).map(Signer::new);
    let now = SystemClock.now();
    for ring in &rings {
        let before = findings.all.len();
        signs(ring, findings);
        spare(ring, findings);
        sealed(patient, ring, signer.as_ref(), findings);
        rotation(patient, ring, now, findings);
        if findings.all.len() == before {
            findings.fine(AREA, format!("{}: {} keys", ring.service(), ring.keys().len()));
        }
    }
    client_secrets(patient, examination, findings);
}

/// What is wrong with it was told of the files.
fn kek(patient: &Patient) -> Option<Kek> {
    let text = match std::env::var(KEK_VARIABLE) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(_) => private::read(&patient.kek_file()?).ok()?,
    };
    Kek::from_text(&text).ok()
}

fn signs(ring: &Ring, findings: &mut Findings) {
    if ring.active().is_none() {
        let service = ring.service();
        let what = format!("{service}: no key signs, so nobody gets tokens for it");
        findings.wrong(AREA, what, format!("take back one of its keys, and the spare takes over: propusk keys revoke KID (propusk keys list {service})"));
    }
}

fn spare(ring: &Ring, findings: &mut Findings) {
    if ring.staged().is_none() {
        let what = format!("{}: no spare key is staged", ring.service());
        findings.warn(AREA, what, "a running authority makes one within seconds; if it does not, see its log");
    }
}

fn sealed(patient: &Patient, ring: &Ring, signer: Option<&Signer>, findings: &mut Findings) {
    let Some(signer) = signer else { return };
    // What was taken back signs nothing any more, and may be older than the key-encryption key.
    let is_used = |key: &&SealedKey| ring.active() == Some(*key) || ring.staged() == Some(*key);
    if ring.keys().iter().filter(is_used).any(|key| signer.probe(key).is_err()) {
        let what = format!("{}: the key-encryption key does not open its keys", ring.service());
        let mend = format!(
            "use the one that this data was made with (kek.file, {KEK_VARIABLE}). If it is lost: propusk feed restore {}",
            patient.place()
        );
        findings.wrong(AREA, what, mend);
    }
}

fn rotation(patient: &Patient, ring: &Ring, now: Timestamp, findings: &mut Findings) {
    let service = ring.service();
    let waits = ring.promoted().and_then(|key| key.promoted_at);
    if waits.is_some_and(|since| now.0.saturating_sub(since.0) > LONG_WAIT_MS) {
        let what = format!("{service}: a new key has been waiting to sign for over an hour");
        return findings.warn(
            AREA,
            what,
            format!("see which verifier has not confirmed it: propusk keys list {service}"),
        );
    }
    let every = patient.config.keys_rotate_every;
    let age = ring.active().and_then(|key| key.activated_at).map(|since| now.since(since)).unwrap_or_default();
    if !every.is_zero() && waits.is_none() && age > every.saturating_mul(2) {
        let what =
            format!("{service}: its key signs for {} days; keys.rotate_every is shorter", age.as_secs() / 86_400);
        findings.warn(
            AREA,
            what,
            format!("propusk keys rotate {service}, and see why it was not done: the authority's log"),
        );
    }
}

/// The parts of `up` sign in with what is in these files.
fn client_secrets(patient: &Patient, examination: &Examination, findings: &mut Findings) {
    let Some(data) = &patient.data else { return };
    for name in ["gateway", "users", "posts", "cars"] {
        let Ok(id) = name.parse::<ClientId>() else { continue };
        let Ok(Some(client)) = examination.read::<_, StoreError>(|tx| tx.client(&id)) else { continue };
        let path = data.join("clients").join(format!("{name}.secret"));
        match private::read(&path) {
            Err(error) if error.is_missing() => {
                let what = format!("{} is missing: {name} cannot sign in at the authority", path.display());
                findings.wrong(AREA, what, mend(name, &path));
            }
            Ok(text) if !is_of(&client, &text) => {
                let what = format!("the authority knows another secret of {name} than {}", path.display());
                findings.wrong(AREA, what, mend(name, &path));
            }
            _ => {}
        }
    }
}

fn is_of(client: &Client, text: &str) -> bool {
    let hash = PlainSecret::presented(text).hash();
    client.secret.as_ref() == Some(&hash)
        || client.previous_secret.as_ref().is_some_and(|previous| previous.secret == hash)
}

fn mend(name: &str, path: &std::path::Path) -> String {
    format!(
        "put the file back, or give {name} another secret and write it there: propusk client new-secret {name}; {}",
        word(path)
    )
}
