//! Records under hashed keys, in memory that does not grow.
//!
//! A key has a few places where it may be. When all are taken, the record goes that would be forgotten first. One that
//! delays is remembered for long, so it outlasts any number of keys with a failure or two: those push out each other.
//! (A sketch without places would be smaller, but there one key's failures count for others.)

use propusk_verify::clock::Moment;

use super::rule::Record;

/// 131,072 records, 4 MiB. A failure takes three places and is a password hashed: it is a fast machine that makes so many
/// failures before the first ones are forgotten.
pub(super) const SETS: usize = 1 << 14;
/// Places of a key.
pub(super) const WAYS: usize = 8;

/// See the module.
pub(super) struct Table {
    sets: Box<[[Place; WAYS]]>,
}

#[derive(Clone, Copy)]
struct Place {
    key: u64,
    record: Record,
}

impl Table {
    /// With so many sets, a power of two.
    pub(super) fn new(sets: usize) -> Self {
        let empty = Place { key: 0, record: Record::CLEAN };
        Self { sets: vec![[empty; WAYS]; sets.next_power_of_two()].into_boxed_slice() }
    }

    /// The record of a key, if there is one.
    pub(super) fn get(&self, key: u64) -> Option<&Record> {
        self.sets.get(set_of(key, self.sets.len()))?.iter().find(|place| place.key == key).map(|place| &place.record)
    }

    /// The record of a key, which has a place from now on.
    #[expect(clippy::expect_used, reason = "a set is found by the mask of their number, and none is empty")]
    pub(super) fn place(&mut self, now: Moment, key: u64) -> &mut Record {
        let set = self.sets.get_mut(set_of(key, self.sets.len())).expect("a set");
        let found = set.iter().position(|place| place.key == key);
        let matters_least = || {
            let matters = |place: &Place| (place.record.running > 0, place.record.forgotten_at.max(now));
            set.iter().enumerate().min_by_key(|(_, place)| matters(place)).map(|(index, _)| index)
        };
        let place = found.or_else(matters_least).and_then(|index| set.get_mut(index)).expect("a place");
        if place.key != key {
            *place = Place { key, record: Record::CLEAN };
        }
        &mut place.record
    }

    /// An attempt is over.
    pub(super) fn over(&mut self, key: u64) {
        if let Some(record) = self.get_mut(key) {
            // It may have lost its place meanwhile, and another its own.
            record.running = record.running.saturating_sub(1);
        }
    }

    /// Forgets the failures of a key.
    pub(super) fn clear(&mut self, key: u64) {
        if let Some(record) = self.get_mut(key) {
            *record = Record { running: record.running, ..Record::CLEAN };
        }
    }

    fn get_mut(&mut self, key: u64) -> Option<&mut Record> {
        let set = self.sets.get_mut(set_of(key, self.sets.len()))?;
        set.iter_mut().find(|place| place.key == key).map(|place| &mut place.record)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.sets)
    }
}

/// Keys are hashes: any of their bits do. `sets` is a power of two.
pub(super) fn set_of(key: u64, sets: usize) -> usize {
    usize::try_from(key).unwrap_or(usize::MAX) & sets.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(seconds: u64) -> Moment {
        Moment::BEGINNING.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn what_would_be_forgotten_first_makes_room() {
        let mut table = Table::new(1);
        for key in 1..=8 {
            table.place(seconds(0), key).forgotten_at = seconds(100 + key);
        }
        table.place(seconds(0), 1).running = 1;
        // The first is running, so the second goes.
        assert_eq!(*table.place(seconds(1), 9), Record::CLEAN);
        assert!(table.get(2).is_none() && table.get(1).is_some());
        // What is forgotten already is as good as an empty place.
        table.place(seconds(1), 9).forgotten_at = seconds(500);
        table.place(seconds(104), 10).forgotten_at = seconds(1000);
        assert!(table.get(9).is_some() && table.get(8).is_some());
    }

    #[test]
    fn any_number_of_keys_with_one_failure_leaves_the_record_that_delays() {
        let mut table = Table::new(4);
        table.place(seconds(0), 77).forgotten_at = seconds(1500);
        let before = table.bytes();
        for key in 1000..101_000 {
            table.place(seconds(key / 1000), key).forgotten_at = seconds(key / 1000 + 300);
        }
        assert_eq!(table.get(77).map(|record| record.forgotten_at), Some(seconds(1500)));
        assert_eq!(table.bytes(), before);
    }

    #[test]
    fn an_attempt_that_lost_its_place_ends_without_harm() {
        let mut table = Table::new(1);
        table.over(5);
        table.place(seconds(0), 5);
        table.over(5);
        assert_eq!(table.get(5).map(|record| record.running), Some(0));
    }
}
