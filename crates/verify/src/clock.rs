//! Time: a monotonic clock for freshness and leases, the wall clock for the life of tokens.
//!
//! Leases are compared on a clock that counts while the machine sleeps. On Linux that is `CLOCK_BOOTTIME`;
//! `CLOCK_MONOTONIC`, and with it [`std::time::Instant`], stands still in a suspended machine, which would make a
//! lease last beyond its end.

use std::sync::Arc;
use std::time::Duration;

use crate::mutant;

/// A point on the monotonic clock of one machine: nanoseconds since its boot, sleep included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Before everything.
    pub const BEGINNING: Self = Self(0);

    /// So many nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment and a duration later, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// This moment and a duration earlier, not before the beginning.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds.
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Which of a machine's monotonic clocks counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Monotonic {
    /// It goes on while the machine sleeps.
    CountsSleep,
    /// It stands still meanwhile.
    StopsAsleep,
}

impl Monotonic {
    /// The one for leases and freshness.
    pub fn of_leases() -> Self {
        if mutant!(ClockStopsAsleep) { Self::StopsAsleep } else { Self::CountsSleep }
    }
}

/// Both clocks of a machine.
pub trait Clock: Send + Sync {
    /// Now, on the monotonic clock that counts while the machine sleeps.
    fn moment(&self) -> Moment;
    /// Both, perhaps some milliseconds late: for ages and ends, never for leases.
    fn coarse(&self) -> (Moment, u64) {
        (self.moment(), self.unix_seconds())
    }
    /// Now, on the wall clock: seconds since 1970.
    fn unix_seconds(&self) -> u64;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        boot_time()
    }

    fn coarse(&self) -> (Moment, u64) {
        coarse::both()
    }

    fn unix_seconds(&self) -> u64 {
        coarse::unix_seconds()
    }
}

/// The clocks to decide by. The machine's own are called directly, which the hot path notices.
pub(crate) enum Clocks {
    System,
    Given(Arc<dyn Clock>),
}

impl Clocks {
    pub(crate) fn get(&self) -> &dyn Clock {
        match self {
            Self::System => &SystemClock,
            Self::Given(clock) => &**clock,
        }
    }

    #[inline(always)]
    pub(crate) fn coarse(&self) -> (Moment, u64) {
        match self {
            Self::System => SystemClock.coarse(),
            Self::Given(clock) => clock.coarse(),
        }
    }

    /// The wall clock first: the one that leases are judged by is read last.
    #[inline(always)]
    pub(crate) fn exact(&self) -> (Moment, u64) {
        let unix_seconds = self.unix_seconds();
        (self.moment(), unix_seconds)
    }

    #[inline(always)]
    pub(crate) fn moment(&self) -> Moment {
        match self {
            Self::System => SystemClock.moment(),
            Self::Given(clock) => clock.moment(),
        }
    }

    #[inline(always)]
    pub(crate) fn unix_seconds(&self) -> u64 {
        match self {
            Self::System => SystemClock.unix_seconds(),
            Self::Given(clock) => clock.unix_seconds(),
        }
    }
}

/// Linux' coarse clocks cost a quarter of the exact ones and are a few milliseconds late.
#[cfg(target_os = "linux")]
mod coarse {
    use std::sync::atomic::{AtomicI64, Ordering};

    use nix::time::{ClockId, clock_gettime};

    use super::{Moment, boot_time};

    /// `CLOCK_BOOTTIME` − `CLOCK_MONOTONIC`, as of the last comparison: how long the machine has slept.
    static SLEPT: AtomicI64 = AtomicI64::new(0);
    /// `CLOCK_REALTIME` − `CLOCK_MONOTONIC` at the same time. A sleep changes it, and so does a step of the wall clock.
    static OFFSET: AtomicI64 = AtomicI64::new(i64::MIN);
    /// How much it may differ before the exact clock is asked: more than both coarse clocks are late.
    const TOLERANCE: i64 = 100_000_000;

    pub(super) fn unix_seconds() -> u64 {
        seconds(nanos(ClockId::CLOCK_REALTIME_COARSE))
    }

    /// Boot time and wall time by two readings.
    pub(super) fn both() -> (Moment, u64) {
        let monotonic = nanos(ClockId::CLOCK_MONOTONIC_COARSE);
        let wall = nanos(ClockId::CLOCK_REALTIME_COARSE);
        (moment(monotonic, wall), seconds(wall))
    }

    /// Boot time by the coarse clocks, as long as they show no sleep since they were compared with the exact one.
    fn moment(monotonic: i64, wall: i64) -> Moment {
        let offset = wall - monotonic;
        // `OFFSET` is written last and read first: who sees a new one sees the `SLEPT` that belongs to it.
        let known = OFFSET.load(Ordering::Acquire);
        let slept = SLEPT.load(Ordering::Acquire);
        if known != i64::MIN && (offset - known).abs() <= TOLERANCE {
            return Moment::from_nanos(u64::try_from(monotonic + slept).unwrap_or_default());
        }
        compare(offset, monotonic)
    }

    #[cold]
    fn compare(offset: i64, monotonic: i64) -> Moment {
        let now = boot_time();
        let exact = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        SLEPT.store(exact - monotonic, Ordering::Release);
        OFFSET.store(offset, Ordering::Release);
        now
    }

    fn seconds(nanos: i64) -> u64 {
        u64::try_from(nanos / 1_000_000_000).unwrap_or_default()
    }

    fn nanos(clock: ClockId) -> i64 {
        // Every Linux since 2.6.32 has both.
        clock_gettime(clock).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn stays_beside_the_exact_clock() {
            for _ in 0..1000 {
                let exact = boot_time();
                let (coarse, _) = both();
                let apart = exact.since(coarse).max(coarse.since(exact));
                assert!(apart < std::time::Duration::from_millis(50), "{apart:?}");
            }
        }

        #[test]
        fn a_sleep_is_noticed() {
            both();
            // As if the machine had slept for a minute since: the wall clock ran on, the monotonic one did not.
            OFFSET.fetch_sub(60_000_000_000, Ordering::AcqRel);
            SLEPT.fetch_sub(60_000_000_000, Ordering::AcqRel);
            let apart = boot_time().since(both().0);
            assert!(apart < std::time::Duration::from_millis(50), "{apart:?}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod coarse {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::{Moment, boot_time};

    pub(super) fn unix_seconds() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    pub(super) fn both() -> (Moment, u64) {
        (boot_time(), unix_seconds())
    }
}

#[cfg(target_os = "linux")]
#[expect(
    clippy::expect_used,
    reason = "the call fails only for a clock that the kernel lacks; Linux has it since 2.6.39"
)]
fn boot_time() -> Moment {
    use nix::time::ClockId;
    let clock = match Monotonic::of_leases() {
        Monotonic::CountsSleep => ClockId::CLOCK_BOOTTIME,
        Monotonic::StopsAsleep => ClockId::CLOCK_MONOTONIC,
    };
    let now = nix::time::clock_gettime(clock).expect("CLOCK_BOOTTIME");
    let [seconds, nanos] = [now.tv_sec(), now.tv_nsec()].map(|part| u64::try_from(part).unwrap_or_default());
    Moment(seconds * 1_000_000_000 + nanos)
}

/// Elsewhere: macOS's and Windows' own monotonic clocks; see the platform's notes on whether they count sleep.
#[cfg(not(target_os = "linux"))]
fn boot_time() -> Moment {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    Moment(1).plus(START.get_or_init(Instant::now).elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_do_not_wrap() {
        assert_eq!(Moment(5).minus(Duration::from_nanos(6)), Moment::BEGINNING);
        assert_eq!(Moment(u64::MAX).plus(Duration::from_secs(1)), Moment(u64::MAX));
        assert_eq!(Moment(5).since(Moment(7)), Duration::ZERO);
        assert_eq!(Moment(7).since(Moment(5)), Duration::from_nanos(2));
    }

    #[test]
    fn the_system_clocks_run() {
        let first = SystemClock.moment();
        assert!(first > Moment::BEGINNING && SystemClock.moment() >= first);
        assert!(SystemClock.unix_seconds() > 1_700_000_000);
    }
}
