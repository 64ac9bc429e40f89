//! Where an account was signed in to lately, in memory that does not grow.
//!
//! The places of an account are in one set, whatever their addresses: signing in to one's own account from everywhere
//! pushes out the places of a few others at most. When a set is full, the place goes that was used longest ago; its owner
//! then is a stranger there until the next success.

use propusk_verify::clock::Moment;

use super::table::{WAYS, set_of};

/// See the module. As many sets as the table of records has: 131,072 places, 2 MiB.
pub(super) struct KnownPlaces {
    sets: Box<[[Known; WAYS]]>,
}

#[derive(Clone, Copy)]
struct Known {
    pair: u64,
    until: Moment,
}

impl KnownPlaces {
    /// With so many sets, a power of two.
    pub(super) fn new(sets: usize) -> Self {
        let nothing = Known { pair: 0, until: Moment::BEGINNING };
        Self { sets: vec![[nothing; WAYS]; sets.next_power_of_two()].into_boxed_slice() }
    }

    /// Whether the account is known there.
    pub(super) fn has(&self, now: Moment, account: u64, pair: u64) -> bool {
        let set = self.sets.get(set_of(account, self.sets.len()));
        set.is_some_and(|set| set.iter().any(|known| known.pair == pair && now < known.until))
    }

    /// From now on, and until then, the account is known there.
    pub(super) fn note(&mut self, until: Moment, account: u64, pair: u64) {
        let index = set_of(account, self.sets.len());
        let Some(set) = self.sets.get_mut(index) else { return };
        let same = set.iter().position(|known| known.pair == pair);
        let oldest = || set.iter().enumerate().min_by_key(|(_, known)| known.until).map(|(index, _)| index);
        if let Some(known) = same.or_else(oldest).and_then(|index| set.get_mut(index)) {
            *known = Known { pair, until };
        }
    }
}
