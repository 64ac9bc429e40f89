//! How many files may be open: each connection is one.

use super::finding::Findings;
use super::patient::Patient;

const AREA: &str = "limits";
/// Below this the parts cannot even connect to each other.
const LEAST: u64 = 256;
/// Below this a few thousand clients fill it.
const FEW: u64 = 4096;

pub(super) fn check(patient: &Patient, findings: &mut Findings) {
    let (whose, pid) = match &patient.running {
        Some(running) => ("the running `up`", running.pid.to_string()),
        None => ("this shell", "self".to_owned()),
    };
    let Ok(table) = std::fs::read_to_string(format!("/proc/{pid}/limits")) else { return };
    if let Some(most) = soft_limit(&table) {
        judge(most, whose, findings);
    }
}

fn judge(most: u64, whose: &str, findings: &mut Findings) {
    let what = format!("{whose} may open {most} files");
    let mend = "ulimit -n 65536 before the start, or LimitNOFILE=65536 in the systemd unit";
    match most {
        0..LEAST => findings.wrong(AREA, what, mend),
        LEAST..FEW => findings.warn(AREA, what, mend),
        FEW.. => findings.fine(AREA, what),
    }
}

/// `Max open files   1024   524288   files`.
fn soft_limit(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_limit_that_counts_is_the_soft_one() {
        let table = "Limit   Soft Limit  Hard Limit  Units\nMax processes  7 8 processes\nMax open files  1024  524288  files\n";
        assert_eq!(soft_limit(table), Some(1024));
        assert_eq!(soft_limit(&table.replace("1024", "unlimited")), Some(u64::MAX));
        assert_eq!(soft_limit(""), None);
        for (most, level) in [(64, Level::Wrong), (1024, Level::Warning), (65_536, Level::Fine)] {
            let mut findings = Findings::default();
            judge(most, "x", &mut findings);
            assert_eq!(findings.all[0].level, level, "{most}");
        }
    }
}
