//! A stuffing run: leaked pairs are tried, account by account, from many addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::alone;
use e2e::http::Http;
use e2e::people::Person;
use e2e::process::memory_kib;
use e2e::raw::address_of;
use e2e::system::{Options, System};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpSocket;

const ADDRESSES: usize = 50;
const ATTEMPTS_EACH: usize = 2_000;
const ACCOUNTS: usize = 10_000;
/// Requests that an attacker sends before it reads the answers.
const AT_ONCE: usize = 20;
/// Buffers of connections, the log of refusals; the throttle's own memory is taken at the start.
const ALLOWED_KIB: u64 = 24 * 1_024;
/// What somebody waits for an honest sign-in at most, on a machine that is full.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_hundred_thousand_stuffed_attempts_leave_memory_flat_and_honest_people_served() {
    alone(async {
        let system = System::start(&Options::new().split().set("log.level", "warn"));
        let (elsewhere, among_them) = (system.register("honest").await, system.register("colleague").await);
        let attacked = Http::from_address(attacker_address(0));
        // Known at an address that takes part in the attack, as in an office with an infected machine.
        sign_in(&system, &attacked, &among_them).await;
        let pid = system.pid("authority");
        let before = memory_kib(pid, "VmRSS:");
        let begun = Instant::now();
        let over = AtomicBool::new(false);
        let honest = async {
            let (mut most, mut slowest, mut served) = (0, Duration::ZERO, 0);
            while !over.load(Ordering::SeqCst) {
                most = most.max(memory_kib(pid, "VmRSS:"));
                slowest = slowest.max(sign_in(&system, &system.http, &elsewhere).await);
                slowest = slowest.max(sign_in(&system, &attacked, &among_them).await);
                // Nobody has signed in from here before.
                let new_here =
                    Http::from_address(Ipv4Addr::new(127, 8, 0, u8::try_from(served % 250 + 1).unwrap()).into());
                slowest = slowest.max(sign_in(&system, &new_here, &elsewhere).await);
                served += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (most, slowest, served)
        };
        let attack = async {
            let known = [elsewhere.username.as_str(), among_them.username.as_str()];
            let statuses =
                join_all((0..ADDRESSES).map(|n| e2e::spawn(stuff(n, authority_of(&system), known.map(str::to_owned)))))
                    .await;
            over.store(true, Ordering::SeqCst);
            statuses
        };
        let ((most, slowest, served), statuses) = tokio::join!(honest, attack);
        let mut counts = BTreeMap::<u16, usize>::new();
        for (status, count) in statuses.into_iter().flat_map(|counted| counted.expect("an attacker")) {
            *counts.entry(status).or_default() += count;
        }
        let took = begun.elapsed();
        eprintln!(
            "{counts:?} in {took:?}; RSS {before} → at most {most} KiB; {served} honest rounds, slowest {slowest:?}"
        );
        assert_eq!(counts.values().sum::<usize>(), ADDRESSES * ATTEMPTS_EACH, "everybody was answered");
        assert!(counts.keys().all(|status| matches!(status, 401 | 429 | 503)), "{counts:?}");
        // Each address had what is free, and then one in a while.
        let looked_at = counts.get(&401).copied().unwrap_or_default();
        assert!(looked_at <= ADDRESSES * 120, "{looked_at} guesses were looked at");
        assert!(most < before + ALLOWED_KIB, "{before} → {most} KiB");
        assert!(served > 3 && slowest < PATIENCE, "{served} rounds, {slowest:?}");
    });
}

fn attacker_address(n: usize) -> IpAddr {
    Ipv4Addr::new(127, 6, 6, u8::try_from(n + 1).expect("few")).into()
}

fn authority_of(system: &System) -> SocketAddr {
    address_of(&system.ready.authority).parse().expect("an address")
}

async fn sign_in(system: &System, http: &Http, person: &Person) -> Duration {
    let body = json!({"username": person.username, "password": person.password});
    let begun = Instant::now();
    http.post(&system.authority("/auth/login")).json(&body).send().await.expect(200);
    begun.elapsed()
}

/// One attacker: many attempts over one connection, at a share of the accounts. How often which status came.
async fn stuff(n: usize, authority: SocketAddr, known: [String; 2]) -> BTreeMap<u16, usize> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(attacker_address(n), 0)).expect("an address of this machine");
    let mut stream = BufStream::new(socket.connect(authority).await.expect("a connection"));
    let mut counts = BTreeMap::new();
    for first in (0..ATTEMPTS_EACH).step_by(AT_ONCE) {
        for attempt in first..first + AT_ONCE {
            // Accounts that there are among those that there are not; each comes from many addresses.
            let account = (n * ATTEMPTS_EACH + attempt) % ACCOUNTS;
            let name = known.get(account).cloned().unwrap_or_else(|| format!("leaked-{account}"));
            let body = json!({"username": name, "password": format!("a leaked password {n}")}).to_string();
            let length = body.len();
            let head = "POST /auth/login HTTP/1.1\r\nhost: authority\r\ncontent-type: application/json";
            let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(request.as_bytes()).await.expect("written");
        }
        stream.flush().await.expect("written");
        for _ in 0..AT_ONCE {
            *counts.entry(answer(&mut stream).await).or_default() += 1;
        }
    }
    counts
}

/// The status of the next answer, which is read to its end.
async fn answer(stream: &mut BufStream<tokio::net::TcpStream>) -> u16 {
    let (mut status, mut length) = (0, 0);
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).await.expect("a line") > 0, "the connection was closed");
        let text = line.trim_end();
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
        } else if let Some(rest) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = rest.trim().parse().expect("a length");
        } else if text.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    status
}
