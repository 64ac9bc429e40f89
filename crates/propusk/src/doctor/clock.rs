//! Clocks: the wall clock against what the data and the authority say, and the one that leases are measured by.

use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use propusk_core::store::{AuditFilter, StoreError};
use propusk_store::Examination;

use super::finding::Findings;
use super::network;
use super::patient::Patient;

const AREA: &str = "clock";
const MEND: &str = "set the clock, and keep it: timedatectl set-ntp true";
/// No clock that is right shows less: this program is younger.
const NO_EARLIER_THAN: i64 = 1_767_225_600;
/// A century is more than any certificate or token lives.
const NO_LATER_THAN: i64 = NO_EARLIER_THAN + 100 * 365 * 86_400;

pub(super) async fn check(patient: &Patient, examination: Option<&Examination>, findings: &mut Findings) {
    let now = Timestamp::now().as_second();
    plausible(now, findings);
    if let Some(examination) = examination {
        against_the_log(now, patient.config.token_leeway, examination, findings);
    }
    leases(findings);
    if let Some(url) = &patient.config.authority_url {
        match network::date(&url.0, &patient.config).await {
            Some(theirs) => against_the_authority(now, theirs, patient.config.token_leeway, findings),
            None => findings.warn(
                AREA,
                format!("{} does not tell the time", url.0),
                "start the authority, or mend authority.url: then its clock can be compared with this one",
            ),
        }
    }
}

fn plausible(now: i64, findings: &mut Findings) {
    let shown = || Timestamp::from_second(now).map_or_else(|_| now.to_string(), |time| time.to_string());
    if (NO_EARLIER_THAN..NO_LATER_THAN).contains(&now) {
        findings.fine(AREA, format!("it is {}", shown()));
    } else {
        findings.wrong(AREA, format!("it is {}, says the wall clock", shown()), MEND);
    }
}

/// The floor is a time that the authority's clock has shown: tokens that end before it are expired for everybody.
fn against_the_log(now: i64, leeway: Duration, examination: &Examination, findings: &mut Findings) {
    let read = examination.read::<_, StoreError>(|tx| {
        let newest = tx.audit_entries(&AuditFilter::default(), None, 1)?;
        Ok((tx.log_state()?.floor, newest.first().map_or(0, |entry| entry.at.unix_seconds())))
    });
    let Ok((floor, newest)) = read else { return };
    judge_floor(now, leeway, floor.max(newest.saturating_sub(leeway.as_secs())), findings);
}

fn judge_floor(now: i64, leeway: Duration, seen: u64, findings: &mut Findings) {
    let behind = i64::try_from(seen).unwrap_or(i64::MAX).saturating_sub(now);
    if behind <= i64::try_from(leeway.as_secs()).unwrap_or(0) {
        return findings.fine(AREA, "no change is dated later than now");
    }
    let what = format!(
        "the wall clock is {behind} s behind a time at which this data was written: new tokens are expired as they are made"
    );
    let mend = format!("{MEND}. If it was wrong then, and not now, tokens can be used again when that time has come");
    findings.wrong(AREA, what, mend);
}

fn against_the_authority(now: i64, theirs: i64, leeway: Duration, findings: &mut Findings) {
    let apart = now.abs_diff(theirs);
    // The header has whole seconds.
    if apart <= leeway.as_secs() + 1 {
        findings.fine(AREA, format!("{apart} s from the authority's"));
    } else {
        let what = format!("{apart} s from the authority's; tokens are taken up to {} s apart", leeway.as_secs());
        findings.wrong(AREA, what, format!("{MEND}, on both machines"));
    }
}

/// Leases count on a clock that goes on while the machine sleeps.
fn leases(findings: &mut Findings) {
    #[cfg(target_os = "linux")]
    {
        let read = |id| clock_gettime(id).map(Duration::from).ok();
        match (read(ClockId::CLOCK_BOOTTIME), read(ClockId::CLOCK_MONOTONIC), read(ClockId::CLOCK_BOOTTIME)) {
            (Some(first), Some(_), Some(last)) if last >= first => {
                findings.fine(AREA, "leases are measured by a clock that counts sleep");
            }
            _ => findings.wrong(
                AREA,
                "CLOCK_BOOTTIME goes back or cannot be read: leases cannot be measured",
                "set feed.lease=0s: elite endpoints then ask the authority each time",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn level(judge: impl FnOnce(&mut Findings)) -> Level {
        let mut findings = Findings::default();
        judge(&mut findings);
        assert_eq!(findings.all.len(), 1);
        assert_eq!(findings.all[0].remedy.is_none(), findings.all[0].level == Level::Fine);
        findings.all[0].level
    }

    const NOW: i64 = 1_795_356_000;
    const LEEWAY: Duration = Duration::from_secs(5);

    #[test]
    fn a_clock_that_was_never_set_or_runs_in_another_century_is_wrong() {
        for (now, is_right) in
            [(NOW, true), (0, false), (-1, false), (NOW - 10 * 365 * 86_400, false), (1 << 40, false)]
        {
            let wanted = if is_right { Level::Fine } else { Level::Wrong };
            assert_eq!(level(|findings| plausible(now, findings)), wanted, "{now}");
        }
    }

    #[test]
    fn a_clock_behind_the_data_is_wrong() {
        for (seen, wanted) in [(NOW - 60, Level::Fine), (NOW + 4, Level::Fine), (NOW + 3600, Level::Wrong)] {
            let seen = u64::try_from(seen).unwrap();
            assert_eq!(level(|findings| judge_floor(NOW, LEEWAY, seen, findings)), wanted, "{seen}");
        }
    }

    #[test]
    fn clocks_may_differ_by_the_leeway() {
        for (theirs, wanted) in [(NOW, Level::Fine), (NOW - 6, Level::Fine), (NOW + 7, Level::Wrong)] {
            assert_eq!(level(|findings| against_the_authority(NOW, theirs, LEEWAY, findings)), wanted, "{theirs}");
        }
    }
}
