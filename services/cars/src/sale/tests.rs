//! Sales under every kind of accident: the real transactions, a `users` of the test's own, and between the two a wire
//! on which messages are lost, repeated, and late.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::{Connection, TransactionBehavior};

use super::*;
use crate::schema;

const BUYERS: [&str; 3] = ["u_0", "u_1", "u_2"];
/// Enough for one of the two cars, not for both.
const START: i64 = 2_000_000;
const CARS: [i64; 2] = [1, 2];

/// `users` as this service sees it: a reference is charged at most once, and never after it was voided.
#[derive(Default)]
struct Accounts {
    charged: BTreeMap<String, (usize, i64)>,
    voided: Vec<String>,
}

impl Accounts {
    fn balance(&self, buyer: usize) -> i64 {
        START - self.charged.values().filter(|(who, _)| *who == buyer).map(|(_, amount)| amount).sum::<i64>()
    }

    /// Whether the debit is confirmed.
    fn charge(&mut self, buyer: usize, sale: &Sale) -> bool {
        if self.charged.contains_key(&sale.id) {
            return true;
        }
        let is_good = !self.voided.contains(&sale.id) && self.balance(buyer) >= sale.price;
        if is_good {
            self.charged.insert(sale.id.clone(), (buyer, sale.price));
        }
        is_good
    }

    fn void(&mut self, reference: &str) {
        self.charged.remove(reference);
        self.voided.push(reference.to_owned());
    }
}

/// On its way between the two services.
#[derive(Debug, Clone)]
enum Message {
    Debit(usize, Sale),
    DebitAnswer { sale: Sale, is_confirmed: bool },
    Void(CalledOff),
    VoidAnswer(CalledOff),
}

/// How the buyer's token stands when the car is to be sold.
#[derive(Debug, Clone, Copy)]
enum Standing {
    Good,
    Ended,
    NobodyKnows,
}

#[derive(Debug, Clone)]
enum Step {
    /// A buyer tries, for the first time or again.
    Buy {
        buyer: usize,
        car: usize,
    },
    /// A message arrives; it may arrive again.
    Deliver {
        which: usize,
        again: bool,
        standing: Standing,
    },
    Lose {
        which: usize,
    },
    /// Every pending sale has waited too long.
    Abandon,
    /// `cars` dies and comes back: nobody waits for an answer any more.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let standing = prop_oneof![4 => Just(Standing::Good), 1 => Just(Standing::Ended), 1 => Just(Standing::NobodyKnows)];
    prop_oneof![
        4 => (0..BUYERS.len(), 0..CARS.len()).prop_map(|(buyer, car)| Step::Buy { buyer, car }),
        8 => (any::<usize>(), prop::bool::weighted(0.2), standing)
            .prop_map(|(which, again, standing)| Step::Deliver { which, again, standing }),
        2 => any::<usize>().prop_map(|which| Step::Lose { which }),
        1 => Just(Step::Abandon),
        1 => Just(Step::Crash),
    ]
}

struct World {
    db: Connection,
    accounts: Accounts,
    wire: Vec<Message>,
}

impl World {
    fn new() -> Self {
        let mut db = Connection::open_in_memory().unwrap();
        demo_common::db::migrate(&mut db, schema::MIGRATIONS).unwrap();
        Self { db, accounts: Accounts::default(), wire: Vec::new() }
    }

    fn write<T, E: From<DbError>>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
        let done = work(&tx)?;
        tx.commit().map_err(DbError::from)?;
        Ok(done)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Buy { buyer, car } => {
                if let Ok(sale) = self.write(|tx| reserve(tx, CARS[car], BUYERS[buyer], 0)) {
                    self.wire.push(Message::Debit(buyer, sale));
                }
            }
            Step::Deliver { .. } | Step::Lose { .. } if self.wire.is_empty() => {}
            Step::Deliver { which, again, standing } => {
                let which = which % self.wire.len();
                let message = if again { self.wire[which].clone() } else { self.wire.swap_remove(which) };
                self.deliver(message, standing);
            }
            Step::Lose { which } => drop(self.wire.swap_remove(which % self.wire.len())),
            Step::Abandon => self.abandon(),
            Step::Crash => self.wire.retain(|message| matches!(message, Message::Debit(..) | Message::Void(_))),
        }
    }

    fn abandon(&mut self) {
        let called_off = self.write(|tx| abandon(tx, 1)).unwrap();
        self.wire.extend(called_off.into_iter().map(Message::Void));
    }

    fn deliver(&mut self, message: Message, standing: Standing) {
        match message {
            Message::Debit(buyer, sale) => {
                let is_confirmed = self.accounts.charge(buyer, &sale);
                self.wire.push(Message::DebitAnswer { sale, is_confirmed });
            }
            Message::DebitAnswer { sale, is_confirmed: true } => match standing {
                // An error says that it was called off meanwhile.
                Standing::Good => drop(self.write(|tx| sell(tx, &sale.id))),
                Standing::Ended => self.give_up(&sale),
                Standing::NobodyKnows => {}
            },
            Message::DebitAnswer { sale, is_confirmed: false } => self.give_up(&sale),
            Message::Void(sale) => {
                self.accounts.void(sale.id());
                self.wire.push(Message::VoidAnswer(sale));
            }
            Message::VoidAnswer(sale) => self.write(|tx| close(tx, &sale)).unwrap(),
        }
    }

    fn give_up(&mut self, sale: &Sale) {
        let called_off = self.write(|tx| call_off(tx, &sale.id)).unwrap();
        self.wire.extend(called_off.map(Message::Void));
    }

    /// Nothing is lost any more, and recovery does its rounds.
    fn calm_down(&mut self) {
        while self.count("state IN ('pending', 'voiding')") > 0 || !self.wire.is_empty() {
            self.abandon();
            for message in std::mem::take(&mut self.wire) {
                self.deliver(message, Standing::Good);
            }
        }
    }

    fn count(&self, which: &str) -> u32 {
        self.db.query_row(&format!("SELECT count(*) FROM sales WHERE {which}"), [], |row| row.get(0)).unwrap()
    }

    /// Reference, buyer and price of what is sold.
    fn sold(&self) -> Vec<(String, i64, String, i64)> {
        let mut query =
            self.db.prepare("SELECT sale_id, car_id, buyer_id, price FROM sales WHERE state = 'sold'").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// At any moment: what is sold is paid, and belongs to who paid.
    fn check(&self) {
        let sold = self.sold();
        for (sale_id, car_id, buyer_id, price) in &sold {
            let paid = self.accounts.charged.get(sale_id);
            assert_eq!(paid.map(|(buyer, amount)| (BUYERS[*buyer], *amount)), Some((buyer_id.as_str(), *price)));
            assert_eq!(catalogue::find(&self.db, *car_id).unwrap().unwrap().owner_id.as_ref(), Some(buyer_id));
        }
        for car_id in CARS {
            let sales = sold.iter().filter(|(_, sold, ..)| *sold == car_id).count();
            let is_owned = catalogue::find(&self.db, car_id).unwrap().unwrap().owner_id.is_some();
            assert_eq!(sales, usize::from(is_owned), "sold once or not at all");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn money_and_cars_are_conserved(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        world.calm_down();
        world.check();
        // In the end whatever is charged is sold.
        let sold: Vec<_> = world.sold().into_iter().map(|(sale_id, ..)| sale_id).collect();
        prop_assert_eq!(world.accounts.charged.len(), sold.len());
        prop_assert!(sold.iter().all(|sale_id| world.accounts.charged.contains_key(sale_id)));
    }
}

#[test]
fn the_same_buyer_goes_on_with_the_same_sale_and_nobody_else_does() {
    let mut world = World::new();
    let first = world.write(|tx| reserve(tx, 1, "u_0", 0)).unwrap();
    assert_eq!(first.id.len(), 32);
    assert_eq!(world.write(|tx| reserve(tx, 1, "u_0", 0)).unwrap(), first);
    assert!(world.write(|tx| reserve(tx, 1, "u_1", 0)).is_err());
    assert!(world.write(|tx| reserve(tx, 2, "u_1", 0)).is_ok());
}

#[test]
fn whoever_goes_on_with_a_sale_keeps_it_alive() {
    let mut world = World::new();
    world.write(|tx| reserve(tx, 1, "u_0", 100)).unwrap();
    world.write(|tx| reserve(tx, 1, "u_0", 200)).unwrap();
    assert_eq!(world.write(|tx| abandon(tx, 150)).unwrap(), []);
    assert_eq!(world.write(|tx| abandon(tx, 201)).unwrap().len(), 1);
}

/// Two attempts of one buyer, of which one is refused after the other has sold: the debit stays.
#[test]
fn a_sale_that_is_sold_cannot_be_called_off() {
    let mut world = World::new();
    let sale = world.write(|tx| reserve(tx, 1, "u_0", 0)).unwrap();
    world.write(|tx| sell(tx, &sale.id)).unwrap();
    assert_eq!(world.write(|tx| call_off(tx, &sale.id)).unwrap(), None);
    assert_eq!(world.write(|tx| abandon(tx, i64::MAX)).unwrap(), []);
    world.write(|tx| sell(tx, &sale.id)).unwrap();
}

#[test]
fn a_sale_that_is_called_off_cannot_be_sold() {
    let mut world = World::new();
    let sale = world.write(|tx| reserve(tx, 1, "u_0", 0)).unwrap();
    let called_off = world.write(|tx| call_off(tx, &sale.id)).unwrap().unwrap();
    assert!(world.write(|tx| sell(tx, &sale.id)).is_err());
    assert!(world.write(|tx| reserve(tx, 1, "u_0", 0)).is_err(), "not before it is closed");
    world.write(|tx| close(tx, &called_off)).unwrap();
    assert!(world.write(|tx| sell(tx, &sale.id)).is_err());
    assert_ne!(world.write(|tx| reserve(tx, 1, "u_0", 0)).unwrap().id, sale.id);
}
