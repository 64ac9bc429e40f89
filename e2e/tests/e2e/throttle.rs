//! Guessing is slowed down by account, client and address; the owner, and everybody else, is not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use e2e::http::{Answer, Http};
use e2e::people::Person;
use e2e::system::{Options, System};
use e2e::{run, unique};
use futures_util::future::join_all;
use serde_json::{Value, json};

mod stuffing;

/// The only one whose word on addresses counts.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));
const WRONG: &str = "not the password of anybody";
const FREE: usize = 5;

static SYSTEM: LazyLock<System> = LazyLock::new(|| {
    let options = Options::new().set("throttle.max_delay", "4s");
    System::start(&options.set("authority.trusted_proxies", &PROXY.to_string()))
});

/// An address of this machine that no other test calls from.
fn somewhere() -> Http {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Http::from_address(Ipv4Addr::new(127, 7, 7, NEXT.fetch_add(1, Ordering::Relaxed)).into())
}

async fn login_with(http: &Http, headers: &[(&str, &str)], username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    let request = http.post(&SYSTEM.authority("/auth/login")).json(&body);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
}

async fn login(http: &Http, username: &str, password: &str) -> Answer {
    login_with(http, &[], username, password).await
}

/// The seconds to wait of an answer that says to.
#[track_caller]
fn retry_after(answer: &Answer) -> u64 {
    let seconds = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("Retry-After\n{answer}"));
    assert!((1..=4).contains(&seconds), "\n{answer}");
    seconds
}

/// Guesses until told to wait; how long for, and how many guesses were looked at.
async fn exhaust(ask: impl AsyncFn() -> Answer, refused: u16) -> (Answer, usize) {
    for tried in 0..30 {
        let answer = ask().await;
        if answer.status == 429 {
            return (answer, tried);
        }
        assert_eq!(answer.status, refused, "\n{answer}");
    }
    panic!("never told to wait");
}

async fn wait(answer: &Answer) {
    tokio::time::sleep(Duration::from_secs(retry_after(answer))).await;
}

/// All but what differs from answer to answer.
fn told(answer: &Answer) -> (u16, String, Vec<String>) {
    (answer.status, answer.text(), answer.headers.keys().map(ToString::to_string).collect())
}

#[test]
fn delays_grow_and_whoever_waits_as_long_as_said_is_let_in() {
    run(async {
        let (person, http) = (SYSTEM.register("guessed").await, somewhere());
        let (answer, tried) = exhaust(async || login(&http, &person.username, WRONG).await, 401).await;
        assert_eq!(tried, FREE);
        let mut answer = answer.expect_problem(429, "throttled");
        let mut delays = vec![retry_after(&answer)];
        for _ in 0..2 {
            // Not even the right password, and asking does not make it longer.
            for _ in 0..10 {
                let again = login(&http, &person.username, &person.password).await.expect_problem(429, "throttled");
                assert!(retry_after(&again) <= retry_after(&answer), "\n{again}");
            }
            wait(&answer).await;
            login(&http, &person.username, WRONG).await.expect_problem(401, "invalid-credentials");
            answer = login(&http, &person.username, WRONG).await.expect_problem(429, "throttled");
            delays.push(retry_after(&answer));
        }
        assert_eq!(delays, [1, 2, 4]);
        wait(&answer).await;
        login(&http, &person.username, &person.password).await.expect(200);
        // It was the owner, so everything is as at first.
        let (_, tried) = exhaust(async || login(&http, &person.username, WRONG).await, 401).await;
        assert_eq!(tried, FREE);
    });
}

#[test]
fn a_name_that_nobody_has_and_a_person_who_is_disabled_are_counted_like_any() {
    run(async {
        let (person, disabled) = (SYSTEM.register("known").await, SYSTEM.register("disabled").await);
        SYSTEM.admin("POST", &format!("/users/{}/disable", disabled.id)).await.expect_enforced();
        let nobody = unique("nobody");
        let mut all = Vec::new();
        // The right password of somebody who is disabled is no success.
        for (name, password) in
            [(&person.username, WRONG), (&nobody, WRONG), (&disabled.username, disabled.password.as_str())]
        {
            let http = somewhere();
            let first = told(&login(&http, name, password).await);
            let (last, tried) = exhaust(async || login(&http, name, password).await, 401).await;
            all.push((first, told(&last), tried));
        }
        assert!(all.iter().all(|seen| *seen == all[0]), "{all:#?}");
    });
}

#[test]
fn of_many_guesses_at_once_no_more_are_looked_at_than_one_after_the_other() {
    run(async {
        let (person, http) = (SYSTEM.register("burst").await, somewhere());
        let answers = join_all((0..60).map(|_| login(&http, &person.username, WRONG))).await;
        let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!(looked_at, FREE);
        assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)));
        // The right one is never too much, however often it comes.
        let (person, http) = (SYSTEM.register("busy").await, somewhere());
        let answers = join_all((0..40).map(|_| login(&http, &person.username, &person.password))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
    });
}

#[test]
fn an_owner_is_served_while_somebody_hammers_the_account_from_elsewhere() {
    run(async {
        let (person, attacker) = (SYSTEM.register("hammered").await, somewhere());
        let over = AtomicBool::new(false);
        let hammer = async || {
            let mut throttled = 0;
            while !over.load(Ordering::SeqCst) {
                throttled += u32::from(login(&attacker, &person.username, WRONG).await.status == 429);
            }
            throttled
        };
        let owner = async {
            // At places where the owner never was, and for longer than the longest delay.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(5) {
                login(&somewhere(), &person.username, &person.password).await.expect(200);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            over.store(true, Ordering::SeqCst);
        };
        let ((), throttled) = tokio::join!(owner, join_all((0..8).map(|_| hammer())));
        assert!(throttled.iter().sum::<u32>() > 20, "{throttled:?}");
    });
}

#[test]
fn somebody_known_at_an_address_is_served_there_while_it_tries_other_accounts() {
    run(async {
        let (person, http) = (SYSTEM.register("colleague").await, somewhere());
        login(&http, &person.username, &person.password).await.expect(200);
        let mut tried = 0;
        while login(&http, &format!("victim-{tried}"), WRONG).await.status == 401 {
            tried += 1;
            assert!(tried < 300, "the address is never told to wait");
        }
        assert!(tried > 20 * FREE, "an address shared by many people has more to spare: {tried}");
        login(&http, &person.username, &person.password).await.expect(200);
        // Which signs nobody else in, and does not make the address look better.
        login(&http, "one-more-victim", WRONG).await.expect_problem(429, "throttled");
    });
}

#[test]
fn what_is_said_about_addresses_counts_from_a_listed_proxy_only() {
    run(async {
        let (person, http) = (SYSTEM.register("forged").await, somewhere());
        for name in ["x-forwarded-for", "forwarded"] {
            let value = |n: usize| if name == "forwarded" { format!("for=10.1.0.{n}") } else { format!("10.1.0.{n}") };
            let account = unique("forging");
            let mut statuses = Vec::new();
            for n in 0..2 * FREE {
                statuses.push(login_with(&http, &[(name, &value(n))], &account, WRONG).await.status);
            }
            assert_eq!(statuses.iter().filter(|status| **status == 401).count(), FREE, "{name}: {statuses:?}");
            // A proxy that is listed speaks for others, up to the first address that is none of ours.
            let proxy = Http::from_address(PROXY);
            let account = unique("proxied");
            for n in 0..2 * FREE {
                login_with(&proxy, &[(name, &value(n))], &account, WRONG).await.expect(401);
            }
            // What a client says to the proxy is not believed.
            let (account, turn) = (unique("forging"), AtomicU8::new(0));
            let guess = async || {
                let chain = format!("{}, {}", value(turn.fetch_add(1, Ordering::SeqCst).into()), value(99));
                login_with(&proxy, &[(name, &chain)], &account, WRONG).await
            };
            assert_eq!(exhaust(guess, 401).await.1, FREE, "{name}");
        }
        login_with(&http, &[("x-forwarded-for", "10.1.2.3")], &person.username, &person.password).await.expect(200);
        let proxy = Http::from_address(PROXY);
        login_with(&proxy, &[("x-forwarded-for", "10.1.2.3")], &person.username, &person.password).await.expect(200);
        let addresses = addresses(&person).await;
        assert!(addresses.len() == 2 && addresses.contains(&"10.1.2.3".to_owned()), "{addresses:?}");
        assert!(addresses.iter().any(|address| address.starts_with("127.7.7.")), "{addresses:?}");
    });
}

/// Where the sessions of a person were opened.
async fn addresses(person: &Person) -> Vec<String> {
    let sessions = SYSTEM.sessions(&person.id).await;
    sessions.iter().map(|session| session["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_password_grant_is_throttled_by_the_person_behind_our_client() {
    run(async {
        let (person, http) = (SYSTEM.register("granted").await, somewhere());
        let grant = async |from: &str, username: &str, password: &str| {
            let fields =
                [("grant_type", "password"), ("username", username), ("password", password), ("audience", "cars")];
            let request = http.post(&SYSTEM.authority("/oauth/token"));
            let request = request.basic("demo-first-party", &SYSTEM.secret("demo-first-party")).form(&fields);
            request.header("forwarded", from).send().await
        };
        let (answer, tried) = exhaust(async || grant("for=10.2.0.1", &person.username, WRONG).await, 400).await;
        assert_eq!(tried, FREE);
        let answer = answer.expect_oauth_error(429, "temporarily_unavailable");
        retry_after(&answer);
        assert_eq!(answer.header("cache-control"), "no-store", "\n{answer}");
        // The same person at another address, and another person at this one.
        grant("for=\"[2001:db8::7]:4711\"", &person.username, &person.password).await.expect(200);
        assert_eq!(addresses(&person).await, ["2001:db8::7"]);
        let other = SYSTEM.register("other").await;
        grant("for=10.2.0.1", &other.username, &other.password).await.expect(200);
        wait(&answer).await;
        grant("for=10.2.0.1", &person.username, &person.password).await.expect(200);
    });
}

#[test]
fn a_client_that_fails_to_authenticate_is_throttled_and_not_where_it_is_known() {
    run(async {
        let secret = SYSTEM.secret("demo-m2m");
        let call = async |http: &Http, path: &str, secret: &str| {
            let fields = [("grant_type", "client_credentials"), ("audience", "cars"), ("token", "x")];
            http.post(&SYSTEM.authority(path)).basic("demo-m2m", secret).form(&fields).send().await
        };
        let (own, attacker) = (somewhere(), somewhere());
        call(&own, "/oauth/token", &secret).await.expect(200);
        let paths = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"];
        let turn = AtomicU8::new(0);
        let guess = async || {
            let path = paths[usize::from(turn.fetch_add(1, Ordering::SeqCst)) % paths.len()];
            call(&attacker, path, "psk_wrong").await
        };
        let (answer, tried) = exhaust(guess, 401).await;
        assert_eq!(tried, 11);
        let answer = answer.expect_oauth_error(429, "temporarily_unavailable");
        for path in paths {
            retry_after(&call(&attacker, path, &secret).await.expect_oauth_error(429, "temporarily_unavailable"));
            call(&own, path, &secret).await.expect(200);
        }
        wait(&answer).await;
        call(&attacker, "/oauth/token", &secret).await.expect(200);
    });
}

#[test]
fn whoever_has_somebody_s_token_does_not_guess_the_password_with_it() {
    run(async {
        let (person, http) = (SYSTEM.register("changing").await, somewhere());
        let token = SYSTEM.login(&person, "propusk").await.access;
        let change = async |current: &str| {
            let body = json!({"current_password": current, "new_password": "another long password 5521"});
            http.post(&SYSTEM.authority("/auth/password")).bearer(&token).json(&body).send().await
        };
        let (answer, tried) = exhaust(async || change(WRONG).await, 401).await;
        assert_eq!(tried, FREE);
        let answer = answer.expect_problem(429, "throttled");
        // It is one account, whichever door is tried.
        login(&http, &person.username, WRONG).await.expect_problem(429, "throttled");
        wait(&answer).await;
        change(&person.password).await.expect_enforced();
    });
}

#[test]
fn through_the_gateway_everybody_has_an_address_of_their_own() {
    run(async {
        let (person, attacker, other) = (SYSTEM.register("behind").await, somewhere(), somewhere());
        let sign_in = async |http: &Http, password: &str| {
            let body = json!({"username": person.username, "password": password});
            http.post(&SYSTEM.gateway("/login")).header("propusk-csrf", "1").json(&body).send().await
        };
        // What is said to the gateway is not believed either.
        let guess = async || {
            let body = json!({"username": person.username, "password": WRONG});
            let request = attacker.post(&SYSTEM.gateway("/login")).header("propusk-csrf", "1").json(&body);
            request.header("x-forwarded-for", &unique("10.3")).header("forwarded", "for=10.3.3.3").send().await
        };
        let (answer, tried) = exhaust(guess, 401).await;
        assert_eq!(tried, FREE);
        let answer = answer.expect_problem(429, "throttled");
        assert_eq!(answer.header("www-authenticate"), "", "\n{answer}");
        let basic = async |http: &Http, password: &str| {
            http.get(&SYSTEM.gateway("/cars")).basic(&person.username, password).send().await
        };
        retry_after(&basic(&attacker, WRONG).await.expect_problem(429, "throttled"));
        retry_after(&page(&attacker, &person).await);
        sign_in(&other, &person.password).await.expect(200);
        basic(&other, &person.password).await.expect(200);
        assert!(addresses(&person).await.iter().all(|address| address.starts_with("127.7.7.")));
        wait(&answer).await;
        sign_in(&attacker, &person.password).await.expect(200);
    });
}

/// The sign-in page, shown again to somebody who has to wait.
async fn page(http: &Http, person: &Person) -> Answer {
    let fields = [("username", person.username.as_str()), ("password", WRONG), ("return_to", "/cars")];
    let request = http.post(&SYSTEM.gateway("/login")).header("sec-fetch-site", "same-origin");
    let page = request.form(&fields).send().await.expect(429);
    assert!(page.header("content-type").starts_with("text/html"), "\n{page}");
    assert!(page.text().contains("role=\"alert\""), "\n{page}");
    page
}

#[test]
fn what_is_throttled_is_counted_and_names_nobody() {
    run(async {
        let (person, http) = (SYSTEM.register("measured").await, somewhere());
        let counted = || SYSTEM.metric(&SYSTEM.ready.authority, "propusk_throttled_attempts_total", &["password"]);
        let before = counted().await;
        exhaust(async || login(&http, &person.username, WRONG).await, 401).await;
        assert!(counted().await > before);
        let text = SYSTEM.http.get(&SYSTEM.authority("/-/metrics")).send().await.expect(200).text();
        assert!(!text.contains(&person.username) && !text.contains("127.7.7."), "{text}");
        // Nor does it fill the audit log: what was looked at is there, what was not is not.
        for _ in 0..20 {
            login(&http, &person.username, WRONG).await;
        }
        let refused = SYSTEM.audited(&person.id, "login").await;
        assert!((FREE..FREE + 3).contains(&refused.iter().filter(|entry| is_refusal(entry)).count()), "{refused:?}");
    });
}

fn is_refusal(entry: &Value) -> bool {
    entry["outcome"] == "invalid_credentials"
}
