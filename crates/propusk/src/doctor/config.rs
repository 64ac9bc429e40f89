//! Settings that are right and may still not be meant.

use super::finding::Findings;
use super::patient::Patient;
use crate::config::Synchronous;

const AREA: &str = "configuration";

pub(super) fn check(patient: &Patient, findings: &mut Findings) {
    if !findings.all.iter().any(|finding| finding.area == AREA) {
        let changed = patient.config.changed().len();
        findings.fine(AREA, format!("right; {changed} settings are not the defaults"));
    }
    durability(patient, findings);
    in_the_clear(patient, findings);
    isolation(patient, findings);
}

fn durability(patient: &Patient, findings: &mut Findings) {
    let lost = match patient.config.database_synchronous {
        Synchronous::Full => return,
        Synchronous::Normal => "the last changes, revocations among them, may be lost",
        Synchronous::Off => "the whole database may be lost",
    };
    findings.warn(AREA, format!("with a loss of power {lost}"), "set database.synchronous=full");
}

fn in_the_clear(patient: &Patient, findings: &mut Findings) {
    if patient.config.insecure_http {
        findings.warn(
            AREA,
            "passwords and tokens may cross the network in the clear, unless something in front encrypts",
            "set tls.cert and tls.key, and take insecure_http=true away",
        );
    }
}

fn isolation(patient: &Patient, findings: &mut Findings) {
    if patient.config.keys_publish_all {
        findings.warn(
            AREA,
            "the keys of all services are published together: who verifies with them takes every service's tokens",
            "set keys.publish_all=false, and let each service use /keys/{service}/jwks.json",
        );
    }
}
