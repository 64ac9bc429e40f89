//! Purchases: a sale and its charge are in two services with two databases, and still nobody pays twice, pays for
//! nothing, or gets a car for nothing.

use std::time::Duration;

use e2e::http::{Answer, Refusal};
use e2e::people::{Person, Tokens};
use e2e::run;
use e2e::system::{Options, START_LIMIT, System};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::shared::PLAIN;

/// What an account starts with.
const START: i64 = 10_000_000;
/// How long a sale may stay undecided after everybody is back.
const SETTLING: Duration = Duration::from_secs(60);

/// Somebody who may buy.
pub(crate) struct Buyer {
    person: Person,
}

impl Buyer {
    pub(crate) async fn new(system: &System, name: &str) -> Self {
        Self { person: system.register_with_role(name, "cars", "buyer").await }
    }

    pub(crate) fn id(&self) -> &str {
        &self.person.id
    }

    pub(crate) async fn token(&self, system: &System) -> String {
        system.login(&self.person, "cars").await.access
    }

    pub(crate) async fn balance(&self, system: &System) -> i64 {
        let token = system.login(&self.person, "users").await.access;
        let me = system.http.get(&system.service("users", "/users/me")).bearer(&token).send().await.expect(200);
        me.json()["balance"].as_i64().unwrap_or_else(|| panic!("no balance\n{me}"))
    }
}

/// A purchase directly at the service; `None` if no answer came.
pub(crate) async fn buy(system: &System, token: &str, car: &str) -> Option<Answer> {
    let request = system.http.post(&system.service("cars", &format!("/cars/{car}/buy"))).bearer(token);
    request.try_send().await.ok()
}

/// A new car for sale.
pub(crate) async fn new_car(system: &System, price: i64) -> String {
    let token = system.admin_token("cars").await;
    let body = json!({"model": e2e::unique("Test"), "price": price});
    let answer = system.http.post(&system.service("cars", "/cars")).bearer(&token).json(&body).send().await.expect(201);
    assert_eq!(answer.json()["owner_id"], Value::Null, "\n{answer}");
    answer.field("car_id")
}

pub(crate) async fn car(system: &System, car: &str) -> Value {
    try_car(system, car).await.expect("an answer")
}

/// The same while the service may be away or has not seen the log yet.
async fn try_car(system: &System, car: &str) -> Option<Value> {
    let token = system.admin_token("cars").await;
    let url = system.service("cars", &format!("/cars/{car}"));
    let answer = system.http.get(&url).bearer(&token).try_send().await.ok()?;
    if answer.status == 503 { None } else { Some(answer.expect(200).json()) }
}

#[test]
fn a_purchase_charges_the_buyer_once() {
    run(async {
        let system = &*PLAIN;
        let (buyer, other) = (Buyer::new(system, "buyer").await, Buyer::new(system, "other").await);
        let id = new_car(system, 123_456).await;
        assert_eq!(buyer.balance(system).await, START);
        let token = buyer.token(system).await;
        let sold = buy(system, &token, &id).await.unwrap().expect(200);
        assert_eq!(sold.field("owner_id"), buyer.id(), "\n{sold}");
        assert_eq!(sold.field("car_id"), id, "\n{sold}");
        assert_eq!(buyer.balance(system).await, START - 123_456);
        assert_eq!(car(system, &id).await["owner_id"], buyer.id());

        // Once more, by the owner and by somebody else.
        buy(system, &token, &id).await.unwrap().expect_problem(409, "already-sold");
        buy(system, &other.token(system).await, &id).await.unwrap().expect_problem(409, "already-sold");
        assert_eq!(buyer.balance(system).await, START - 123_456);
        assert_eq!(other.balance(system).await, START);
    });
}

#[test]
fn through_the_gateway_a_purchase_is_the_same() {
    run(async {
        let system = &*PLAIN;
        let buyer = Buyer::new(system, "gateway-buyer").await;
        let (by_basic, by_cookie) = (new_car(system, 1_000).await, new_car(system, 2_000).await);
        let url = |id: &str| system.gateway(&format!("/cars/{id}/buy"));
        let request = system.http.post(&url(&by_basic)).basic(&buyer.person.username, &buyer.person.password);
        request.send().await.expect(200);
        let browser = e2e::browser::Browser::sign_in(system, &buyer.person).await;
        browser.post(&format!("/cars/{by_cookie}/buy")).await.expect(200);
        assert_eq!(buyer.balance(system).await, START - 3_000);
    });
}

#[test]
fn whoever_may_not_buy_is_not_charged() {
    run(async {
        let system = &*PLAIN;
        let id = new_car(system, 500).await;
        let person = system.register("window-shopper").await;
        let token = system.login(&person, "cars").await.access;
        buy(system, &token, &id).await.unwrap().expect_refusal(Refusal::Forbidden);
        let sell = system.http.post(&system.service("cars", "/cars")).bearer(&token);
        sell.json(&json!({"model": "Mine", "price": 1})).send().await.expect_refusal(Refusal::Forbidden);
        let remove = system.http.request("DELETE", &system.service("cars", &format!("/cars/{id}"))).bearer(&token);
        remove.send().await.expect_refusal(Refusal::Forbidden);
        assert_eq!(car(system, &id).await["owner_id"], Value::Null);
        // A client may have the role, but no account.
        let machine = system.client_token("demo-m2m", "cars").await;
        let answer = buy(system, &machine, &id).await.unwrap();
        assert!((400..500).contains(&answer.status), "\n{answer}");
        assert_eq!(car(system, &id).await["owner_id"], Value::Null);
    });
}

#[test]
fn nobody_buys_what_they_cannot_pay() {
    run(async {
        let system = &*PLAIN;
        let buyer = Buyer::new(system, "poor").await;
        let (dear, dearer) = (new_car(system, START).await, new_car(system, START + 1).await);
        let token = buyer.token(system).await;
        buy(system, &token, &dearer).await.unwrap().expect_problem(409, "insufficient-funds");
        assert_eq!(car(system, &dearer).await["owner_id"], Value::Null, "it is still for sale");
        assert_eq!(buyer.balance(system).await, START);
        buy(system, &token, &dear).await.unwrap().expect(200);
        assert_eq!(buyer.balance(system).await, 0);
        let cheap = new_car(system, 1).await;
        buy(system, &token, &cheap).await.unwrap().expect_problem(409, "insufficient-funds");
    });
}

#[test]
fn a_car_that_was_not_paid_can_be_bought_by_the_next() {
    run(async {
        let system = &*PLAIN;
        let (poor, rich) = (Buyer::new(system, "first").await, Buyer::new(system, "second").await);
        let most = new_car(system, START - 10).await;
        buy(system, &poor.token(system).await, &most).await.unwrap().expect(200);
        let wanted = new_car(system, 100).await;
        let refused = buy(system, &poor.token(system).await, &wanted).await.unwrap();
        refused.expect_problem(409, "insufficient-funds");
        let sold = buy(system, &rich.token(system).await, &wanted).await.unwrap().expect(200);
        assert_eq!(sold.field("owner_id"), rich.id());
        assert_eq!((poor.balance(system).await, rich.balance(system).await), (10, START - 100));
    });
}

#[test]
fn one_car_wanted_by_many_at_once_is_sold_once() {
    run(async {
        let system = &*PLAIN;
        let buyers = join_all((0..8).map(|_| Buyer::new(system, "crowd"))).await;
        for price in [10, 200, 3_000] {
            let id = new_car(system, price).await;
            let before = balances(system, &buyers).await;
            let tokens = join_all(buyers.iter().map(|buyer| buyer.token(system))).await;
            // Each asks twice, as an impatient client does.
            let asked = tokens.iter().chain(&tokens).map(|token| buy(system, token, &id));
            let answers: Vec<Answer> = join_all(asked).await.into_iter().flatten().collect();
            assert_eq!(answers.len(), 2 * buyers.len());
            let owner = car(system, &id).await["owner_id"].as_str().expect("sold").to_owned();
            for answer in answers {
                match answer.status {
                    200 => assert_eq!(answer.field("owner_id"), owner, "\n{answer}"),
                    _ => drop(answer.expect(409)),
                }
            }
            let after = balances(system, &buyers).await;
            for (buyer, (before, after)) in buyers.iter().zip(before.iter().zip(&after)) {
                let charged = if buyer.id() == owner { price } else { 0 };
                assert_eq!(before - after, charged, "{} of {owner}", buyer.id());
            }
        }
    });
}

#[test]
fn one_account_spent_in_parallel_is_not_overdrawn() {
    run(async {
        let system = &*PLAIN;
        let buyer = Buyer::new(system, "greedy").await;
        let price = START / 3 - 1;
        let cars = join_all((0..8).map(|_| new_car(system, price))).await;
        let token = buyer.token(system).await;
        let answers = join_all(cars.iter().map(|id| buy(system, &token, id))).await;
        let sold = answers.into_iter().flatten().filter(|answer| answer.status == 200).count();
        assert_eq!(sold, 3, "the account is good for three");
        assert_eq!(buyer.balance(system).await, START - 3 * price);
        let mut owned = 0;
        for id in &cars {
            owned += usize::from(car(system, id).await["owner_id"] == buyer.id());
        }
        assert_eq!(owned, 3);
    });
}

#[test]
fn the_same_reference_is_charged_once() {
    run(async {
        let system = &*PLAIN;
        let buyer = Buyer::new(system, "reference").await;
        let token = buyer.token(system).await;
        let exchanged = Tokens::of(system.exchange("cars", &token, "users").await).access;
        let body = json!({"amount": 250, "reference": e2e::unique("sale")});
        let debit = || {
            let request = system.http.post(&system.service("users", "/users/me/debits")).bearer(&exchanged);
            request.json(&body).send()
        };
        let answers = join_all((0..10).map(|_| debit())).await;
        let first: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(first.len(), 1, "one of them is the first");
        for answer in &answers {
            assert!(matches!(answer.status, 200 | 201), "\n{answer}");
            assert_eq!(answer.json(), first[0].json(), "the first answer again");
        }
        assert_eq!(buyer.balance(system).await, START - 250);
        for amount in [json!(0), json!(-1), json!("1"), json!(1.5), json!(u64::MAX)] {
            let body = json!({"amount": amount, "reference": e2e::unique("odd")});
            let request = system.http.post(&system.service("users", "/users/me/debits")).bearer(&exchanged);
            let answer = request.json(&body).send().await;
            assert!((400..500).contains(&answer.status), "{amount}\n{answer}");
        }
        assert_eq!(buyer.balance(system).await, START - 250);
    });
}

async fn balances(system: &System, buyers: &[Buyer]) -> Vec<i64> {
    join_all(buyers.iter().map(|buyer| buyer.balance(system))).await
}

/// Buys every car in turn and asks again until there is a final answer.
async fn buy_all(system: &System, buyer: &Buyer, cars: &[(String, i64)], done: &std::sync::atomic::AtomicUsize) {
    for (id, _) in cars {
        e2e::eventually_async("a final answer to a purchase", SETTLING, || async {
            let answer = buy(system, &buyer.token(system).await, id).await?;
            match answer.status {
                200 => Some(()),
                // Sold to this very buyer by a request whose answer was lost.
                409 => (try_car(system, id).await?["owner_id"] == buyer.id()).then_some(()),
                500..=599 => None,
                _ => panic!("\n{answer}"),
            }
        })
        .await;
        done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Each buyer has all the cars they asked for, and has paid for each exactly once.
async fn assert_settled(system: &System, buyer: &Buyer, cars: &[(String, i64)]) {
    let price: i64 = cars.iter().map(|(_, price)| price).sum();
    for (id, _) in cars {
        assert_eq!(car(system, id).await["owner_id"], buyer.id(), "{id}");
    }
    assert_eq!(buyer.balance(system).await, START - price, "everything was paid for once");
}

/// Kills `part` in the middle of purchases and starts it again.
fn purchases_survive_the_death_of(part: &'static str) {
    run(async {
        let system = System::start(&Options::new().split());
        let mut buyers = Vec::new();
        for _ in 0..4 {
            let mut cars = Vec::new();
            for n in 0..6 {
                let price = 1_000 + n;
                cars.push((new_car(&system, price).await, price));
            }
            buyers.push((Buyer::new(&system, "survivor").await, cars));
        }
        let done = std::sync::atomic::AtomicUsize::new(0);
        let killer = async {
            for deaths in 1..=3 {
                // In the middle: some are sold, four are under way.
                while done.load(std::sync::atomic::Ordering::SeqCst) < deaths * 5 {
                    tokio::task::yield_now().await;
                }
                system.kill(part);
                system.restart(part);
                system.wait_ready(part).await;
            }
        };
        let shopping = join_all(buyers.iter().map(|(buyer, cars)| buy_all(&system, buyer, cars, &done)));
        tokio::join!(killer, shopping);
        for (buyer, cars) in &buyers {
            assert_settled(&system, buyer, cars).await;
        }
    });
}

#[test]
fn users_dies_in_the_middle_of_purchases() {
    purchases_survive_the_death_of("users");
}

#[test]
fn cars_dies_in_the_middle_of_purchases() {
    purchases_survive_the_death_of("cars");
}

#[test]
fn a_sale_whose_buyer_never_asks_again_is_settled_all_the_same() {
    run(async {
        let system = System::start(&Options::new().split());
        let buyer = Buyer::new(&system, "vanished").await;
        let id = new_car(&system, 777).await;
        let token = buyer.token(&system).await;
        // The charge is on its way when `users` stops for good and `cars` dies.
        let frozen = system.freeze("users");
        let asking = {
            let request = system.http.post(&system.service("cars", &format!("/cars/{id}/buy"))).bearer(&token);
            e2e::spawn(request.try_send())
        };
        e2e::eventually_async("the car is reserved", START_LIMIT, || async {
            let other = Buyer::new(&system, "other").await;
            let answer = buy(&system, &other.token(&system).await, &id).await?;
            (answer.status == 409).then_some(())
        })
        .await;
        system.kill("cars");
        frozen.wake();
        system.restart("cars");
        system.wait_ready("cars").await;
        drop(asking.await);
        // Sold and paid, or neither.
        e2e::eventually_async("the sale is settled", SETTLING, || async {
            let balance = buyer.balance(&system).await;
            let owner = car(&system, &id).await["owner_id"].clone();
            let sold = owner == buyer.id() && balance == START - 777;
            let void = owner.is_null() && balance == START && is_for_sale(&system, &id).await;
            (sold || void).then_some(())
        })
        .await;
    });
}

/// Whether somebody else can buy it.
async fn is_for_sale(system: &System, id: &str) -> bool {
    let other = Buyer::new(system, "next").await;
    buy(system, &other.token(system).await, id).await.is_some_and(|answer| answer.status == 200)
}

#[test]
fn posts_name_their_authors_even_when_users_is_away() {
    run(async {
        let system = System::start(&Options::new().split());
        let person = system.register("author").await;
        let token = system.login(&person, "posts").await.access;
        let url = system.service("posts", "/posts");
        let post = system.http.post(&url).bearer(&token).json(&json!({"content": "hello"})).send().await.expect(201);
        let listed = |answer: &Answer| -> Value {
            let all = answer.json();
            let found = all.as_array().expect("a list").iter().find(|item| item["post_id"] == post.field("post_id"));
            found.unwrap_or_else(|| panic!("not listed\n{answer}")).clone()
        };
        let answer = system.http.get(&url).bearer(&token).send().await.expect(200);
        let entry = listed(&answer);
        assert_eq!(entry["content"], "hello");
        assert_eq!(entry["user_data"], json!({"user_id": person.id, "username": person.username}), "\n{answer}");
        system.kill("users");
        let answer = system.http.get(&url).bearer(&token).send().await.expect(200);
        assert_eq!(listed(&answer)["user_data"], Value::Null, "\n{answer}");
        system.restart("users");
        system.wait_ready("users").await;
        e2e::eventually_async("authors are named again", START_LIMIT, || async {
            let answer = system.http.get(&url).bearer(&token).send().await.expect(200);
            (!listed(&answer)["user_data"].is_null()).then_some(())
        })
        .await;
    });
}
