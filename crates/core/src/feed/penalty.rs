//! Who gets no lease for a while: a verifier that held up a revocation, or vanished without a release.
//!
//! Without a lease its elite endpoints ask online, which is slower for it alone and holds nobody up.

use std::collections::BTreeMap;
use std::time::Duration;

use propusk_verify::clock::Moment;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// Offences by service and address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Penalties(BTreeMap<(String, String), Penalty>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Penalty {
    until: Moment,
    next: Duration,
}

impl Penalties {
    /// One more offence, unless a penalty runs already.
    pub(super) fn blame(&mut self, now: Moment, service: &str, address: &str) {
        let penalty = self
            .0
            .entry((service.to_owned(), address.to_owned()))
            .or_insert(Penalty { until: Moment::BEGINNING, next: FIRST });
        if penalty.until <= now {
            penalty.until = now.plus(penalty.next);
            penalty.next = (penalty.next * 2).min(LONGEST);
        }
    }

    /// Whether one runs.
    pub(super) fn runs(&self, now: Moment, service: &str, address: &str) -> bool {
        self.0.get(&(service.to_owned(), address.to_owned())).is_some_and(|penalty| now < penalty.until)
    }

    /// Forgets those who have behaved for as long as the longest penalty.
    pub(super) fn forget(&mut self, now: Moment) {
        self.0.retain(|_, penalty| now < penalty.until.plus(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_ten_minutes_and_is_forgotten() {
        let mut penalties = Penalties::default();
        let mut now = Moment::from_nanos(1);
        let mut lengths = Vec::new();
        for _ in 0..8 {
            penalties.blame(now, "cars", "::1");
            // A second offence within the penalty counts no further.
            penalties.blame(now, "cars", "::1");
            let mut length = 0;
            while penalties.runs(now, "cars", "::1") {
                now = now.plus(Duration::from_secs(1));
                length += 1;
            }
            lengths.push(length);
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert!(!penalties.runs(now, "users", "::1") && !penalties.runs(now, "cars", "::2"));
        penalties.forget(now.plus(LONGEST));
        assert_eq!(penalties, Penalties::default());
    }
}
