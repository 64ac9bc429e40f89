//! How many failures are free, how fast they are forgotten, and how long one waits after those beyond.

use std::time::Duration;

use propusk_verify::clock::Moment;

/// The first delay; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// What is known of the failures under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// No attempt before.
    pub(super) ready_at: Moment,
    /// By then every failure is forgotten: how many there are is told by how far off that is.
    pub(super) forgotten_at: Moment,
    /// Attempts that have not ended.
    pub(super) running: u32,
}

impl Record {
    /// Without failures.
    pub(super) const CLEAN: Self = Self { ready_at: Moment::BEGINNING, forgotten_at: Moment::BEGINNING, running: 0 };
}

/// What a record says about one more attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may run.
    Open,
    /// Not for so long.
    Delayed(Duration),
    /// As many run as could fail.
    Full,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    free: u32,
    forget_one: Duration,
    max_delay: Duration,
    /// More failures than these are not remembered: they would make no delay longer, and last for ever.
    most: u32,
}

impl Rule {
    pub(super) fn new(free: u32, forget_one: Duration, max_delay: Duration) -> Self {
        let mut rule = Self { free, forget_one: forget_one.max(Duration::from_millis(1)), max_delay, most: free + 1 };
        while rule.delay(rule.most) < max_delay && rule.most < free + 32 {
            rule.most += 1;
        }
        rule
    }

    /// How many failures are remembered.
    pub(super) fn failures(&self, record: &Record, now: Moment) -> u32 {
        let left = record.forgotten_at.since(now).as_nanos();
        u32::try_from(left.div_ceil(self.forget_one.as_nanos())).unwrap_or(u32::MAX)
    }

    /// The delay after the last of so many failures.
    pub(super) fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free + 1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        FIRST_DELAY.saturating_mul(factor).min(self.max_delay)
    }

    /// Whether one more attempt may run.
    pub(super) fn gate(&self, record: &Record, now: Moment) -> Gate {
        let delay = record.ready_at.since(now);
        if !delay.is_zero() {
            return Gate::Delayed(delay);
        }
        let may_run = self.free.saturating_sub(self.failures(record, now)).max(1);
        if record.running < may_run { Gate::Open } else { Gate::Full }
    }

    /// One more failure.
    pub(super) fn failed(&self, record: &mut Record, now: Moment) {
        let one_more = record.forgotten_at.max(now).plus(self.forget_one);
        record.forgotten_at = one_more.min(now.plus(self.forget_one.saturating_mul(self.most)));
        record.ready_at = record.ready_at.max(now.plus(self.delay(self.failures(record, now))));
    }
}
