//! Certificate, key and roots: readable, belonging together, and not about to end.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use propusk_verify::tls::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::finding::Findings;
use super::patient::Patient;
use crate::{private, tls};

const AREA: &str = "tls";
/// Time enough to renew it.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn check(patient: &Patient, findings: &mut Findings) {
    match (&patient.config.tls_cert, &patient.config.tls_key) {
        (Some(cert), Some(key)) => pair(cert, key, findings),
        _ => findings.fine(AREA, "no certificate: listeners speak plain HTTP, on this machine only"),
    }
    if let Some(ca) = &patient.config.tls_ca {
        match tls::roots(ca) {
            Ok(_) => findings.fine(AREA, format!("calls trust the certificates in {}", ca.display())),
            Err(error) => findings.wrong_as_told(AREA, error),
        }
    }
}

fn pair(cert: &Path, key: &Path, findings: &mut Findings) {
    let chain = match std::fs::read(cert) {
        Ok(chain) => chain,
        Err(error) => {
            return findings.wrong(
                AREA,
                format!("{}: {error}", cert.display()),
                "set tls.cert to a file that is there",
            );
        }
    };
    let key_text = match private::read(key) {
        Ok(text) => text,
        Err(error) => return findings.wrong_as_told(AREA, error),
    };
    if let Err(error) = Certificate::from_pem(&chain, key_text.as_bytes()) {
        let what = format!("{} with {}: {error}", cert.display(), key.display());
        return findings.wrong(AREA, what, "set tls.cert and tls.key to a certificate and its own key");
    }
    for end in CertificateDer::pem_slice_iter(&chain).flatten().map(|der| not_after(&der)) {
        lifetime(cert, end, Timestamp::now(), findings);
    }
}

fn lifetime(cert: &Path, end: Option<Timestamp>, now: Timestamp, findings: &mut Findings) {
    let renew = "renew it; running servers take the new files by themselves within seconds";
    match end {
        None => findings.warn(AREA, format!("{}: it cannot be told when it ends", cert.display()), renew),
        Some(end) if end <= now => findings.wrong(AREA, format!("{} ended at {end}", cert.display()), renew),
        Some(end) if end <= now.saturating_add(SOON).unwrap_or(now) => {
            findings.warn(AREA, format!("{} ends at {end}", cert.display()), renew);
        }
        Some(end) => findings.fine(AREA, format!("{} is good until {end}", cert.display())),
    }
}

/// `notAfter` of a certificate (RFC 5280 section 4.1): no library that we have tells it.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(Der(der).inside(SEQUENCE)?);
    let mut tbs = Der(certificate.inside(SEQUENCE)?);
    if tbs.tag() == Some(VERSION) {
        tbs.inside(VERSION)?;
    }
    tbs.inside(INTEGER)?;
    tbs.inside(SEQUENCE)?;
    tbs.inside(SEQUENCE)?;
    let mut validity = Der(tbs.inside(SEQUENCE)?);
    validity.next()?;
    let (tag, text) = validity.next()?;
    time(tag, std::str::from_utf8(text).ok()?)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `YYMMDDHHMMSSZ`, of which years below 50 are of this century, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let full = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &full).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Elements of DER (X.690), one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// What is in the next element, which has to be of this kind.
    fn inside(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(content)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(9))?;
                (
                    digits.iter().try_fold(0_usize, |all, digit| all.checked_mul(256)?.checked_add((*digit).into()))?,
                    rest,
                )
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        for (year, text) in
            [(2031, "2031-02-03T00:00:00Z"), (2049, "2049-02-03T00:00:00Z"), (2051, "2051-02-03T00:00:00Z")]
        {
            parameters.not_after = rcgen::date_time_ymd(year, 2, 3);
            let certificate = parameters.clone().self_signed(&key).unwrap();
            let end = not_after(certificate.der()).unwrap();
            assert_eq!(end.to_string(), text);
            for cut in 0..certificate.der().len() {
                // Nothing that is cut short is a reason to panic.
                let _ = not_after(&certificate.der()[..cut]);
            }
        }
        assert_eq!(not_after(b""), None);
        assert_eq!(not_after(&[0x30, 0xff, 0xff]), None);
    }

    #[test]
    fn an_end_is_told_before_it_comes() {
        let now: Timestamp = "2026-11-22T14:00:00Z".parse().unwrap();
        let level = |end: &str| {
            let mut findings = Findings::default();
            lifetime(Path::new("c"), Some(end.parse().unwrap()), now, &mut findings);
            findings.all[0].level
        };
        use super::super::finding::Level;
        assert_eq!(level("2026-11-22T13:59:59Z"), Level::Wrong);
        assert_eq!(level("2026-12-01T00:00:00Z"), Level::Warning);
        assert_eq!(level("2027-12-01T00:00:00Z"), Level::Fine);
    }
}
