//! Time: a monotonic clock for freshness and leases, the wall clock for the life of tokens.
//!
//! Leases are compared on a clock that counts while the machine sleeps. On Linux that is `CLOCK_BOOTTIME`;
//! `CLOCK_MONOTONIC`, and with it [`std::time::Instant`], stands still in a suspended machine, which would make a
//! lease last beyond its end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Both clocks of a machine.
pub trait Clock: Send + Sync {
    /// Now, on the monotonic clock that counts while the machine sleeps.
    fn moment(&self) -> Moment;
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

    fn unix_seconds(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

#[cfg(target_os = "linux")]
#[expect(
    clippy::expect_used,
    reason = "the call fails only for a clock that the kernel lacks; Linux has it since 2.6.39"
)]
fn boot_time() -> Moment {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME");
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
