//! Waiting until a change is enforced: every verifier has applied it, or can decide nothing from memory without it.

use std::time::Duration;

use propusk_verify::clock::Moment;
use propusk_verify::feed::Instance;
use propusk_verify::mutant;

use super::registry::Registry;

/// Who held up a revocation for longer than this gets no lease for a while.
const TOLERATED: Duration = Duration::from_millis(250);
/// A look that comes so much later than it was due means that this process itself was held up, and with it everything
/// that it should have sent: then nobody else is blamed for it, and the time to be tolerated begins anew.
const OWN_STALL: Duration = Duration::from_millis(50);

/// A wait for one position of the log. It ends after at most one lease, whatever verifiers do: a lease that is granted
/// after the wait began carries a head that includes the change, so it is of no use without it, and does not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wait {
    seq: u64,
    /// From when on those who are outstanding are to blame.
    late: Moment,
    /// Until when nothing counts as enforced, because of leases from before the process started.
    quiet_until: Moment,
    /// Who had not acknowledged when it began, and the end recorded by then.
    outstanding: Vec<(Instance, Moment)>,
}

/// How far a wait has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// No elite decision that takes effect from now on accepts what was revoked.
    Enforced,
    /// Not yet. Look again at this moment, or when somebody has acknowledged.
    Until(Moment),
}

/// A verifier that has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laggard {
    /// Its service.
    pub service: String,
    /// Which process.
    pub instance: Instance,
    /// How far it has come.
    pub acked: u64,
    /// How long its lease still runs, as far as it counts for this wait.
    pub lease_left: Duration,
}

impl Registry {
    /// Begins to wait for `seq`, which must be in the head already.
    pub fn wait(&self, now: Moment, seq: u64) -> Wait {
        let outstanding = self
            .records
            .iter()
            .filter(|(_, record)| record.knows() < seq && now < record.lease_end)
            .map(|(instance, record)| (*instance, record.lease_end))
            .collect();
        Wait { seq, late: now.plus(TOLERATED), quiet_until: self.quiet_until, outstanding }
    }

    /// Looks how far a wait has come.
    pub fn progress(&mut self, wait: &mut Wait, now: Moment) -> Progress {
        if mutant!(LengthensTheWait) {
            for (instance, end) in &mut wait.outstanding {
                *end = self.records.get(instance).map_or(*end, |record| record.lease_end.max(*end));
            }
        }
        let acked = |instance: &Instance| {
            self.records
                .get(instance)
                .is_some_and(|record| record.acked >= wait.seq || record.lease_end == Moment::BEGINNING)
        };
        wait.outstanding.retain(|(instance, end)| now < *end && !acked(instance));
        if now.since(wait.late) > OWN_STALL {
            wait.late = now.plus(TOLERATED);
        } else if now >= wait.late {
            for (instance, _) in &wait.outstanding {
                self.blame(now, *instance);
            }
        }
        let quiet = (now < wait.quiet_until).then_some(wait.quiet_until);
        let ends = wait.outstanding.iter().map(|(_, end)| *end);
        match ends.chain(quiet).max() {
            None => Progress::Enforced,
            Some(end) if now < wait.late && !wait.outstanding.is_empty() => Progress::Until(end.min(wait.late)),
            Some(end) => Progress::Until(end),
        }
    }

    /// Who, of those heard of lately, has not acknowledged: also those whose lease had ended before.
    pub fn laggards(&self, wait: &Wait, now: Moment) -> Vec<Laggard> {
        let behind = self.records.iter().filter(|(_, record)| record.is_current(now) && record.acked < wait.seq);
        behind
            .map(|(instance, record)| {
                let end = wait.outstanding.iter().find(|(outstanding, _)| outstanding == instance);
                Laggard {
                    service: record.follower.service.clone(),
                    instance: *instance,
                    acked: record.acked,
                    lease_left: end.map_or(Duration::ZERO, |(_, end)| end.since(now)),
                }
            })
            .collect()
    }
}

impl Wait {
    /// What is waited for.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

#[cfg(test)]
mod tests {
    use super::super::Follower;
    use super::*;
    use crate::env::Timestamp;

    const LEASE: Duration = Duration::from_secs(3);
    const A: Instance = Instance([1; 16]);
    const B: Instance = Instance([2; 16]);

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(1).plus(Duration::from_millis(millis))
    }

    fn registry(instances: &[Instance]) -> Registry {
        let mut registry = Registry::start(at(0), LEASE, Duration::ZERO);
        for instance in instances {
            let follower = Follower { service: "cars".to_owned(), address: "::1".to_owned(), version: "1".to_owned() };
            registry.connected(at(0), Timestamp(0), *instance, follower, 1).unwrap();
            registry.renew(at(0), 1, 0, *instance, 1).unwrap();
        }
        registry
    }

    #[test]
    fn ends_with_the_last_acknowledgement() {
        let mut registry = registry(&[A, B]);
        let mut wait = registry.wait(at(100), 2);
        assert!(matches!(registry.progress(&mut wait, at(100)), Progress::Until(_)));
        registry.acked(at(110), A, 2);
        assert!(matches!(registry.progress(&mut wait, at(110)), Progress::Until(_)));
        registry.acked(at(120), B, 5);
        assert_eq!(registry.progress(&mut wait, at(120)), Progress::Enforced);
        assert!(registry.laggards(&wait, at(120)).is_empty());
    }

    #[test]
    fn ends_with_the_lease_recorded_when_it_began() {
        let mut registry = registry(&[A]);
        let mut wait = registry.wait(at(100), 2);
        // A later lease carries the change and does not lengthen the wait.
        registry.renew(at(200), 2, 0, A, 2).unwrap();
        assert_eq!(registry.progress(&mut wait, at(100)), Progress::Until(at(350)));
        assert_eq!(registry.progress(&mut wait, at(2999)), Progress::Until(at(3000)));
        assert_eq!(registry.progress(&mut wait, at(3000)), Progress::Enforced);
        let laggards = registry.laggards(&wait, at(3000));
        assert_eq!((laggards.len(), laggards[0].instance, laggards[0].lease_left), (1, A, Duration::ZERO));
    }

    #[test]
    fn who_holds_up_gets_no_lease_for_a_while() {
        let mut registry = registry(&[A]);
        let mut wait = registry.wait(at(100), 2);
        registry.progress(&mut wait, at(349));
        assert_eq!(registry.renew(at(349), 2, 0, A, 2).unwrap().lease, LEASE);
        registry.progress(&mut wait, at(351));
        assert_eq!(registry.renew(at(400), 2, 0, A, 3).unwrap().lease, Duration::ZERO);
        assert_eq!(registry.renew(at(10_351), 2, 0, A, 4).unwrap().lease, LEASE);
    }

    #[test]
    fn nobody_is_blamed_for_our_own_stall() {
        let mut registry = registry(&[A]);
        let mut wait = registry.wait(at(100), 2);
        registry.progress(&mut wait, at(100));
        // The look of 350 ms comes at 900: the batch may have gone out only now.
        assert_eq!(registry.progress(&mut wait, at(900)), Progress::Until(at(1150)));
        assert_eq!(registry.renew(at(950), 2, 0, A, 2).unwrap().lease, LEASE);
        registry.progress(&mut wait, at(1150));
        assert_eq!(registry.renew(at(1200), 2, 0, A, 3).unwrap().lease, Duration::ZERO);
    }

    #[test]
    fn a_release_holds_up_nobody_and_a_closed_connection_does() {
        let mut registry = registry(&[A, B]);
        let mut wait = registry.wait(at(100), 2);
        registry.released(at(110), A);
        registry.disconnected(at(110), B);
        assert!(matches!(registry.progress(&mut wait, at(120)), Progress::Until(_)));
        let laggards = registry.laggards(&wait, at(120));
        assert_eq!(laggards.iter().map(|laggard| laggard.instance).collect::<Vec<_>>(), [B]);
        assert_eq!(registry.progress(&mut wait, at(3000)), Progress::Enforced);
        registry.sweep(at(3000));
        let follower = Follower { service: "cars".to_owned(), address: "::1".to_owned(), version: "1".to_owned() };
        let again = Instance([3; 16]);
        registry.connected(at(3001), Timestamp(0), again, follower, 0).unwrap();
        assert_eq!(registry.renew(at(3001), 2, 0, again, 1).unwrap().lease, Duration::ZERO, "B vanished");
    }

    #[test]
    fn after_a_start_nothing_is_enforced_before_old_leases_are_over() {
        let mut registry = Registry::start(at(0), LEASE, LEASE);
        let mut wait = registry.wait(at(10), 2);
        assert_eq!(registry.progress(&mut wait, at(10)), Progress::Until(at(3000)));
        assert_eq!(registry.progress(&mut wait, at(3000)), Progress::Enforced);
    }
}
