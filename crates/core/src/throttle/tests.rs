use std::collections::HashMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// The same seed each time.
struct Seed(u8);

impl Random for Seed {
    fn fill(&self, dest: &mut [u8]) {
        dest.fill(self.0);
    }
}

fn throttle() -> Throttle {
    Throttle::with_places(MINUTE, &Seed(7), 64)
}

fn at(seconds: u64) -> Moment {
    Moment::BEGINNING.plus(Duration::from_secs(1_000_000 + seconds))
}

fn ip(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + n).into()
}

impl Throttle {
    /// An attempt that ends at once; how long it was refused for otherwise.
    fn try_at(&mut self, now: Moment, guess: Guess, outcome: Outcome) -> Result<(), Duration> {
        match self.begin(now, guess) {
            Admission::Admitted(admitted) => {
                self.end(now, admitted, outcome);
                Ok(())
            }
            Admission::Delayed(delay) => Err(delay),
            Admission::Crowded => panic!("nothing runs"),
        }
    }

    fn fails(&mut self, now: Moment, guess: Guess) -> Result<(), Duration> {
        self.try_at(now, guess, Outcome::Failed)
    }

    fn succeeds(&mut self, now: Moment, guess: Guess) -> Result<(), Duration> {
        self.try_at(now, guess, Outcome::Succeeded)
    }
}

#[test]
fn delays_double_up_to_the_longest_and_whoever_waits_is_let_in() {
    let mut throttle = throttle();
    let guess = throttle.person("alice", ip(1));
    for _ in 0..5 {
        throttle.fails(at(0), guess).expect("free");
    }
    let mut now = at(0);
    let mut delays = Vec::new();
    for _ in 0..9 {
        let delay = throttle.fails(now, guess).expect_err("delayed");
        // Trying again meanwhile changes nothing.
        assert_eq!(throttle.succeeds(now, guess), Err(delay));
        delays.push(delay.as_secs());
        now = now.plus(delay);
        throttle.fails(now, guess).expect("it has waited");
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    throttle.succeeds(now.plus(MINUTE), guess).expect("never for good");
}

#[test]
fn failures_are_forgotten_with_time_and_by_a_success() {
    let mut throttle = throttle();
    let guess = throttle.person("alice", ip(1));
    for _ in 0..5 {
        throttle.fails(at(0), guess).expect("free");
    }
    throttle.fails(at(0), guess).expect_err("delayed");
    // Five minutes for each: one is forgotten, so one more is the fifth again.
    throttle.fails(at(301), guess).expect("waited");
    assert_eq!(throttle.fails(at(301), guess), Err(Duration::from_secs(1)));
    throttle.succeeds(at(302), guess).expect("waited");
    for _ in 0..5 {
        throttle.fails(at(302), guess).expect("free again");
    }
}

#[test]
fn however_often_the_right_password_comes_nobody_waits() {
    let mut throttle = throttle();
    let guess = throttle.person("alice", ip(1));
    for _ in 0..1000 {
        throttle.succeeds(at(0), guess).expect("no failure");
        throttle.try_at(at(0), guess, Outcome::Withdrawn).expect("no failure");
    }
}

#[test]
fn an_owner_is_served_at_a_known_place_whoever_hammers_the_account_or_the_address() {
    let mut throttle = throttle();
    let owner = throttle.person("alice", ip(1));
    throttle.succeeds(at(0), owner).expect("the owner");
    for n in 0..2000 {
        // The account from many addresses; other accounts from the owner's address.
        let _ = throttle.fails(at(n), throttle.person("alice", ip(100 + u32::try_from(n).unwrap())));
        let _ = throttle.fails(at(n), throttle.person(&format!("somebody-{n}"), ip(1)));
    }
    throttle.fails(at(2000), throttle.person("alice", ip(5))).expect_err("the account is delayed for strangers");
    throttle.fails(at(2000), throttle.person("bob", ip(1))).expect_err("the address is delayed for strangers");
    throttle.succeeds(at(2000), owner).expect("the owner");
    let month_later = at(2000).plus(KNOWN_FOR);
    assert!(!throttle.known.has(month_later, owner.account, owner.pair()), "for a month, not for ever");
}

#[test]
fn two_attackers_never_slow_an_owner_at_a_new_place() {
    let mut throttle = throttle();
    let attackers = [throttle.person("alice", ip(1)), throttle.person("alice", ip(2))];
    let owner = throttle.person("alice", ip(3));
    for second in 0..4 * 3600 {
        for attacker in attackers {
            let _ = throttle.fails(at(second), attacker);
        }
        throttle.try_at(at(second), owner, Outcome::Withdrawn).expect("nobody slowed the owner");
    }
}

#[test]
fn signing_in_to_one_s_own_account_makes_the_address_look_no_better() {
    let mut throttle = throttle();
    let own = throttle.person("mallory", ip(1));
    let mut tried = 0;
    while throttle.fails(at(0), throttle.person(&format!("victim-{tried}"), ip(1))).is_ok() {
        throttle.succeeds(at(0), own).expect("mallory is mallory");
        tried += 1;
    }
    assert_eq!(tried, 101);
}

#[test]
fn an_address_has_far_more_failures_free_than_an_account() {
    let mut throttle = throttle();
    // Twenty people behind one address mistype four times each, and all get in.
    for n in 0..20 {
        let guess = throttle.person(&format!("colleague-{n}"), ip(1));
        for _ in 0..4 {
            throttle.fails(at(n), guess).expect("free");
        }
        throttle.succeeds(at(n), guess).expect("the right one at last");
    }
}

#[test]
fn of_many_attempts_at_once_as_many_run_as_may_fail() {
    let mut throttle = throttle();
    let guess = throttle.person("alice", ip(1));
    let mut running = Vec::new();
    while let Admission::Admitted(admitted) = throttle.begin(at(0), guess) {
        running.push(admitted);
    }
    assert_eq!(running.len(), 4);
    // One turns out right: it was no failure, and makes room for one more.
    throttle.end(at(0), running.pop().unwrap(), Outcome::Succeeded);
    assert!(matches!(throttle.begin(at(0), guess), Admission::Admitted(_)));
    assert!(matches!(throttle.begin(at(0), guess), Admission::Crowded));
    // After a delay one runs at a time.
    let mut throttle = self::throttle();
    for _ in 0..5 {
        throttle.fails(at(0), guess).unwrap();
    }
    let Admission::Admitted(first) = throttle.begin(at(1), guess) else { panic!("waited") };
    assert!(matches!(throttle.begin(at(1), guess), Admission::Crowded));
    throttle.end(at(1), first, Outcome::Failed);
    assert!(matches!(throttle.begin(at(1), guess), Admission::Delayed(_)));
}

#[test]
fn a_household_is_one_address() {
    let throttle = throttle();
    let of = |text: &str| throttle.person("alice", text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_ne!(of("0.0.0.0"), of("::"));
}

#[test]
fn spellings_of_a_name_are_one_account_and_people_are_no_clients() {
    let throttle = throttle();
    assert_eq!(throttle.person("Alice", ip(1)), throttle.person("alice", ip(1)));
    assert_ne!(throttle.person("alice", ip(1)), throttle.person("bob", ip(1)));
    assert_ne!(throttle.person("not a name", ip(1)), throttle.person("nor this", ip(1)));
    let (person, client) = (throttle.person("cars", ip(1)), throttle.client("cars", ip(1)));
    assert!(person.account != client.account && person.address != client.address);
    let other = Throttle::with_places(MINUTE, &Seed(8), 64);
    assert_ne!(throttle.person("alice", ip(1)), other.person("alice", ip(1)), "nobody can aim at a place");
}

#[test]
fn a_clients_secret_is_throttled_too_and_a_known_client_is_not_slowed_from_elsewhere() {
    let mut throttle = throttle();
    let own = throttle.client("gateway", ip(1));
    throttle.succeeds(at(0), own).expect("the gateway");
    let mut tried = 0;
    while throttle.fails(at(0), throttle.client("gateway", ip(2))).is_ok() {
        tried += 1;
    }
    assert_eq!(tried, 11);
    for n in 0..300 {
        let _ = throttle.fails(at(0), throttle.client("gateway", ip(1000 + n)));
    }
    throttle.fails(at(0), throttle.client("gateway", ip(3))).expect_err("delayed for strangers");
    // However many of its requests run at a time: nobody has to wait for them.
    let running: Vec<_> = (0..500).map(|_| throttle.begin(at(0), own)).collect();
    assert!(running.iter().all(|admission| matches!(admission, Admission::Admitted(_))));
}

#[test]
fn a_flood_of_guesses_takes_no_memory_and_does_not_free_an_account_under_attack() {
    let mut throttle = throttle();
    let before = throttle.table.bytes();
    let target = throttle.person("alice", ip(1));
    for second in 0..300 {
        let _ = throttle.fails(at(second), target);
    }
    let delay = throttle.fails(at(300), target).expect_err("delayed");
    for n in 0..200_000 {
        let _ = throttle.fails(at(300), throttle.person(&format!("{n}"), ip(10 + n % 50_000)));
    }
    assert_eq!(throttle.table.bytes(), before);
    assert_eq!(throttle.fails(at(300), target), Err(delay));
}

/// The rules once more, as simple as can be: unbounded, a list of what is owed for each record.
#[derive(Default)]
struct Model {
    records: HashMap<(u8, String), ModelRecord>,
    known: HashMap<(String, u32), u64>,
}

#[derive(Default, Clone)]
struct ModelRecord {
    /// In milliseconds of forgetting.
    owed: u64,
    as_of: u64,
    ready_at: u64,
    running: u64,
}

const RULES: [(u64, u64, u64); 3] = [(4, 300_000, 11), (30, 30_000, 37), (100, 10_000, 107)];

impl Model {
    fn keys(name: &str, address: u32) -> [(u8, String); 3] {
        [(0, format!("{name}@{address}")), (1, name.to_owned()), (2, address.to_string())]
    }

    fn record(&mut self, key: &(u8, String), now: u64) -> &mut ModelRecord {
        let record = self.records.entry(key.clone()).or_default();
        record.owed = record.owed.saturating_sub(now - record.as_of);
        record.as_of = now;
        record
    }

    /// Milliseconds to wait, or whether it is crowded.
    fn begin(&mut self, now: u64, name: &str, address: u32) -> Result<(), (u64, bool)> {
        let is_known = self.known.get(&(name.to_owned(), address)).is_some_and(|until| now < *until);
        let keys = Self::keys(name, address);
        let (mut wait, mut crowded) = (0, false);
        for (key, (free, forget, _)) in keys.iter().zip(RULES).take(if is_known { 1 } else { 3 }) {
            let record = self.record(key, now);
            wait = wait.max(record.ready_at.saturating_sub(now));
            let failures = record.owed.div_ceil(forget);
            crowded |= record.ready_at <= now && record.running >= free.saturating_sub(failures).max(1);
        }
        if wait > 0 || crowded {
            return Err((wait, wait == 0));
        }
        keys.iter().for_each(|key| self.record(key, now).running += 1);
        Ok(())
    }

    fn end(&mut self, now: u64, name: &str, address: u32, outcome: Outcome) {
        for (key, (free, forget, most)) in Self::keys(name, address).iter().zip(RULES) {
            let record = self.record(key, now);
            record.running -= 1;
            if outcome == Outcome::Failed {
                record.owed = (record.owed + forget).min(forget * most);
                let failures = record.owed.div_ceil(forget);
                let delay = if failures > free { (1000 << (failures - free - 1).min(20)).min(60_000) } else { 0 };
                record.ready_at = record.ready_at.max(now + delay);
            }
            if outcome == Outcome::Succeeded && key.0 == 0 {
                *record = ModelRecord { running: record.running, as_of: now, ..ModelRecord::default() };
            }
        }
        if outcome == Outcome::Succeeded {
            self.known.insert((name.to_owned(), address), now + 30 * 24 * 3_600_000);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Begin(usize, u32),
    End(usize, Outcome),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Failed),
        1 => Just(Outcome::Succeeded),
        1 => Just(Outcome::Withdrawn),
    ];
    let step = prop_oneof![
        2 => prop_oneof![Just(0), 1_u64..3_000, 1_u64..120_000, Just(600_000), Just(40 * 24 * 3_600_000)].prop_map(Step::Pass),
        5 => (0_usize..3, 0_u32..4).prop_map(|(name, address)| Step::Begin(name, address)),
        5 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::End(which.index(1000), outcome)),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn it_does_what_the_simple_model_does(steps in steps()) {
        const NAMES: [&str; 3] = ["alice", "bob", "carol"];
        let mut throttle = throttle();
        let mut model = Model::default();
        let mut now = 1_000_000_000;
        let mut running: Vec<(Admitted, usize, u32)> = Vec::new();
        for step in steps {
            let moment = Moment::from_nanos(now * 1_000_000);
            match step {
                Step::Pass(ms) => now += ms,
                Step::Begin(name, address) => {
                    let guess = throttle.person(NAMES[name], ip(address));
                    let expected = model.begin(now, NAMES[name], address);
                    match throttle.begin(moment, guess) {
                        Admission::Admitted(admitted) => {
                            prop_assert_eq!(expected, Ok(()));
                            running.push((admitted, name, address));
                        }
                        Admission::Delayed(delay) => {
                            prop_assert!(delay <= MINUTE);
                            prop_assert_eq!(expected, Err((u64::try_from(delay.as_millis()).unwrap(), false)));
                        }
                        Admission::Crowded => prop_assert_eq!(expected, Err((0, true))),
                    }
                }
                Step::End(which, outcome) if !running.is_empty() => {
                    let (admitted, name, address) = running.swap_remove(which % running.len());
                    throttle.end(moment, admitted, outcome);
                    model.end(now, NAMES[name], address, outcome);
                }
                Step::End(..) => {}
            }
        }
    }

    /// However attempts and time are laid, a password is guessed at no more than this from one address.
    #[test]
    fn guesses_from_one_address_are_bounded(passes in prop::collection::vec(0_u64..100_000, 1..500)) {
        let mut throttle = throttle();
        let (mut now, mut failed) = (1_000_000_000, 0);
        for ms in &passes {
            now += ms;
            let guess = throttle.person("alice", ip(1));
            failed += u64::from(throttle.fails(Moment::from_nanos(now * 1_000_000), guess).is_ok());
        }
        let minutes = passes.iter().sum::<u64>() / 60_000;
        prop_assert!(failed <= 11 + minutes + minutes / 5, "{} in {} minutes", failed, minutes);
    }
}
