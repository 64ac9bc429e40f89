//! Chance, and clocks that are not exact.

use propusk_verify::clock::Moment;

/// Nanoseconds of the time that no process can see.
pub(super) type Time = u64;
pub(super) const MS: Time = 1_000_000;
pub(super) const S: Time = 1_000 * MS;

/// Pseudo-random numbers that are the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to below `end`.
    pub(super) fn between(&mut self, least: u64, end: u64) -> u64 {
        least + self.next() % (end - least).max(1)
    }

    /// Once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }
}

/// A clock that starts anywhere and runs up to a tenth too fast or too slow, which may change.
#[derive(Debug, Clone)]
pub(super) struct Drifting {
    since: Time,
    shown: u64,
    per_mille: u64,
}

impl Drifting {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let mut clock = Self { since: 0, shown: chance.between(S, 1000 * S), per_mille: 1000 };
        clock.slew(0, chance);
        clock
    }

    pub(super) fn read(&self, now: Time) -> Moment {
        Moment::from_nanos(self.shown + (now - self.since) / 1000 * self.per_mille)
    }

    /// From now on it runs otherwise. The extremes are the most likely.
    pub(super) fn slew(&mut self, now: Time, chance: &mut Chance) {
        self.shown = self.read(now).as_nanos();
        self.since = now;
        self.per_mille = match chance.between(0, 3) {
            0 => 900,
            1 => 1100,
            _ => chance.between(900, 1101),
        };
    }
}
