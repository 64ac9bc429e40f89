//! Slows down guessing: passwords of people, secrets of clients.
//!
//! Only failures count, and whoever waits is let in again: there is no lock. A failure is counted in three records:
//!
//! | record | free failures | one is forgotten each | what it is against |
//! |---|---|---|---|
//! | this account from this address | 4 | 5 `max_delay` | guessing at one account |
//! | this account from anywhere | 30 | ½ `max_delay` | the same from many addresses |
//! | this address at any account | 100 | ⅙ `max_delay` | trying leaked pairs and common passwords, account by account |
//!
//! (Of clients 10, 100 and 100: their secrets are 256 random bits, and what fails is nearly always a mistake.) Beyond the
//! free ones each failure doubles the delay until the next attempt, from one second to `max_delay`. An attempt that is
//! refused meanwhile counts for nothing, so that hammering makes no delay longer.
//!
//! **The owner.** Where an account was signed in to during the last [`KNOWN_FOR`], only the first record counts: neither
//! somebody who hammers the account from elsewhere nor somebody who tries other accounts from the same address slows its
//! owner there. Elsewhere the owner is in the position of any stranger: a few attackers raise their own records only, for
//! they are too slow to raise that of the account beyond what is free; while many addresses attack at once, a sign-in from
//! a new place has to compete with them.
//!
//! **A success** clears the first record and no other: signing in to an account of one's own between two guesses does not
//! make an address look better.
//!
//! **Attempts in parallel** count as failures until they turn out otherwise: of any number that come at once only as many
//! run as there are free failures left, at least one. The others are told [`Admission::Crowded`]: whether they may is
//! known when one of the first is over. Clients' attempts are over at once and are not counted so.
//!
//! **Memory** is fixed, taken at the start: records lie in [`table::Table`], known places in [`known::KnownPlaces`], and
//! a full one forgets what matters least. A place in the table costs a failure, which is a password hashed and which the
//! attacker's address pays for; pushing out a record that delays costs a few of them for each place of the table.
//!
//! Keys are keyed hashes: the table holds neither names nor addresses, and nobody can aim at a place in it.
//!
//! Somebody at the same address can tell from delays which accounts were used from there; who has an account cannot be
//! told otherwise, for a name that nobody has is counted like any other.

mod known;
mod rule;
mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use propusk_verify::clock::Moment;

use self::known::KnownPlaces;
use self::rule::{Gate, Rule};
use self::table::Table;
use crate::env::Random;
use crate::username;

/// How long a place counts as known after the last success there.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes of the longest name that somebody can have.
const LONGEST_NAME: usize = 256;

/// What is guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The password of a person.
    Password,
    /// The secret of a client.
    ClientSecret,
}

/// Somebody who tries to get in: at what, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guess {
    kind: Kind,
    account: u64,
    address: u64,
}

impl Guess {
    /// The account as tried from this address. Both are keyed hashes, so no one can choose what their sum collides with.
    fn pair(self) -> u64 {
        self.account.rotate_left(32).wrapping_add(self.address)
    }
}

/// An attempt that was let in. It has to end: see [`Throttle::end`].
#[derive(Debug)]
#[must_use = "it counts as a failure until it ends"]
pub struct Admitted(Guess);

/// Whether an attempt may go on.
#[derive(Debug)]
pub enum Admission {
    /// Yes.
    Admitted(Admitted),
    /// Not for so long.
    Delayed(Duration),
    /// It is known when one of the attempts that run is over.
    Crowded,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They are who they say.
    Succeeded,
    /// They are not.
    Failed,
    /// Nobody knows: it was not looked at.
    Withdrawn,
}

/// The records. Sans-IO: it reads no clock.
pub struct Throttle {
    key: hmac::Key,
    passwords: Rules,
    client_secrets: Rules,
    table: Table,
    known: KnownPlaces,
}

struct Rules {
    here: Rule,
    anywhere: Rule,
    address: Rule,
}

impl Rules {
    fn new(free: [u32; 3], max_delay: Duration) -> Self {
        let [here, anywhere, address] = free;
        Self {
            here: Rule::new(here, max_delay * 5, max_delay),
            anywhere: Rule::new(anywhere, max_delay / 2, max_delay),
            address: Rule::new(address, max_delay / 6, max_delay),
        }
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    /// Without any record. Nobody ever waits longer than `max_delay` after a failure.
    pub fn new(max_delay: Duration, random: &dyn Random) -> Self {
        Self::with_places(max_delay, random, table::SETS)
    }

    fn with_places(max_delay: Duration, random: &dyn Random, sets: usize) -> Self {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        random.fill(seed.as_mut());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref()),
            passwords: Rules::new([4, 30, 100], max_delay),
            client_secrets: Rules::new([10, 100, 100], max_delay),
            table: Table::new(sets),
            known: KnownPlaces::new(sets),
        }
    }

    /// Somebody types a username. What cannot be one counts as it was typed.
    pub fn person(&self, typed: &str, from: IpAddr) -> Guess {
        let name = username::stored_form(typed);
        let name = name.as_deref().unwrap_or(typed);
        self.guess(Kind::Password, name, from)
    }

    /// Somebody says to be a client.
    pub fn client(&self, id: &str, from: IpAddr) -> Guess {
        self.guess(Kind::ClientSecret, id, from)
    }

    fn guess(&self, kind: Kind, name: &str, from: IpAddr) -> Guess {
        let (named, addressed) = match kind {
            Kind::Password => (0, 1),
            Kind::ClientSecret => (2, 3),
        };
        let name = name.as_bytes();
        // No name is longer; the rest would only be work.
        let account = self.hash(named, name.get(..LONGEST_NAME).unwrap_or(name));
        Guess { kind, account, address: self.hash(addressed, &network(from)) }
    }

    fn hash(&self, domain: u8, bytes: &[u8]) -> u64 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[domain]);
        context.update(bytes);
        context.sign().as_ref().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// Whether an attempt may go on now.
    pub fn begin(&mut self, now: Moment, guess: Guess) -> Admission {
        let mut delay = Duration::ZERO;
        let mut is_crowded = false;
        let is_known = self.known.has(now, guess.account, guess.pair());
        for (key, rule) in self.counted(guess).into_iter().take(if is_known { 1 } else { 3 }) {
            match self.table.get(key).map_or(Gate::Open, |record| rule.gate(record, now)) {
                Gate::Open => {}
                Gate::Delayed(longer) => delay = delay.max(longer),
                Gate::Full => is_crowded |= guess.kind == Kind::Password,
            }
        }
        if !delay.is_zero() {
            return Admission::Delayed(delay);
        }
        if is_crowded {
            return Admission::Crowded;
        }
        if guess.kind == Kind::Password {
            for (key, _) in self.counted(guess) {
                self.table.place(now, key).running += 1;
            }
        }
        Admission::Admitted(Admitted(guess))
    }

    /// Notes how an attempt ended.
    pub fn end(&mut self, now: Moment, Admitted(guess): Admitted, outcome: Outcome) {
        let counted = self.counted(guess);
        for (key, rule) in counted {
            if outcome == Outcome::Failed {
                rule.failed(self.table.place(now, key), now);
            }
            if guess.kind == Kind::Password {
                self.table.over(key);
            }
        }
        if outcome == Outcome::Succeeded {
            self.table.clear(guess.pair());
            self.known.note(now.plus(KNOWN_FOR), guess.account, guess.pair());
        }
    }

    /// The records in which a failure counts; that of account and address first.
    fn counted(&self, guess: Guess) -> [(u64, Rule); 3] {
        let Rules { here, anywhere, address } = match guess.kind {
            Kind::Password => &self.passwords,
            Kind::ClientSecret => &self.client_secrets,
        };
        [(guess.pair(), *here), (guess.account, *anywhere), (guess.address, *address)]
    }
}

/// What counts as one address: with IPv6 the /64, of which every household has one to choose addresses from.
fn network(address: IpAddr) -> [u8; 9] {
    let mut bytes = [0; 9];
    let (kind, rest) = match address.to_canonical() {
        IpAddr::V4(v4) => (4, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => (6, u64::try_from(v6.to_bits() >> 64).unwrap_or_default()),
    };
    let [first, others @ ..] = &mut bytes;
    *first = kind;
    *others = rest.to_be_bytes();
    bytes
}
