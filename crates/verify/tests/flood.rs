//! Floods of forged tokens: honest callers notice nothing, memory does not grow, and nobody is hammered with questions.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use propusk_verify::cache::CacheLimits;
use propusk_verify::clock::{Clock as _, SystemClock};
use propusk_verify::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, View};
use propusk_verify::jose::KeyRing;
use propusk_verify::{Demand, Reason, Verifier};
use serde_json::json;

const ISSUER: &str = "https://id.example.com";
const KID: &str = "the-key";
const FORGED: usize = 100_000;
/// Memory is measured for the whole process: one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

static SIGNER: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap());

fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn jwks() -> String {
    let x = b64(SIGNER.public_key().as_ref());
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "use": "sig", "x": x }] }).to_string()
}

/// Header and claims of a token that would be good.
fn unsigned(kid: &str, number: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "alg": "EdDSA", "kid": kid, "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": format!("u_{number}"), "aud": "cars", "client_id": "gateway", "iat": now, "exp": now + 3600,
        "jti": format!("t_{number}"), "epoch": 1, "roles": ["buyer"], "sid": format!("s_{number}"),
    });
    format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()))
}

fn honest(number: usize) -> String {
    let input = unsigned(KID, number);
    format!("{input}.{}", b64(SIGNER.sign(input.as_bytes()).as_ref()))
}

/// A text that differs for each number, as long as a signature.
fn no_signature(number: usize) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &number.to_le_bytes());
    b64(digest.as_ref())
}

/// Forged tokens, each another one, of every kind in turn; with the reason that each is refused for.
struct Forger {
    /// Of a good token, whose signature an attacker may replace.
    signing_input: String,
    unknown_key: String,
    /// The end of a good token, which the cache's hash looks at.
    end: String,
}

impl Forger {
    fn new() -> Self {
        let good = honest(0);
        let (signing_input, end) = good.rsplit_once('.').unwrap();
        Self { signing_input: signing_input.to_owned(), unknown_key: unsigned("K", 0), end: end.to_owned() }
    }

    fn forge(&self, number: usize) -> (String, Reason) {
        let signature = no_signature(number);
        match number % 4 {
            0 => (format!("{}.{signature}", self.signing_input), Reason::Signature),
            1 => (self.of_unknown_key(number), Reason::KidUnknown),
            2 => (format!("{}.{}{signature}", self.signing_input, "A".repeat(8192)), Reason::TooLarge),
            _ => {
                // Another payload under the signature of a good token: the same place in the cache, and not the same text.
                let header = self.signing_input.split('.').next().unwrap();
                (format!("{header}.{signature}.{}", self.end), Reason::Signature)
            }
        }
    }

    fn of_unknown_key(&self, number: usize) -> String {
        let header = json!({ "alg": "EdDSA", "kid": format!("kid-{number}"), "typ": "at+jwt" });
        let claims = self.unknown_key.split('.').nth(1).unwrap();
        format!("{}.{claims}.{}", b64(header.to_string().as_bytes()), no_signature(number))
    }
}

/// A verifier whose view has the key.
fn verifier(entries: usize) -> Verifier {
    let view = Arc::new(View::new(["cars"]));
    let ring = Arc::new(KeyRing::from_jwks(jwks().as_bytes()).unwrap());
    let events = vec![Event { seq: 1, until: u64::MAX, change: Change::KeysChanged { aud: "cars".to_owned(), ring } }];
    let mut follower = Follower::new(Instance::draw(), Drift::default());
    let renewal = follower.renew(SystemClock.moment());
    follower.batch(&view, Batch { from: 0, to: 1, floor: 0, events, part: 0, last: true });
    let grant = Grant { n: renewal.n, head: 1, lease: Duration::ZERO, age: Duration::ZERO, floor: 0 };
    follower.grant(&view, grant, SystemClock.moment());
    Verifier::builder()
        .issuer(ISSUER)
        .audience("cars")
        .view(view)
        // An unknown key is only certain while the view is fresh: it is, for as long as this test may take.
        .max_staleness(Duration::from_secs(3600))
        .cache(CacheLimits { entries, bytes: 64 << 20 })
        .build()
}

/// How many of them are answered from memory; those that are not are verified and may be kept.
async fn round(verifier: &Verifier, tokens: &[String]) -> usize {
    let mut hits = 0;
    for token in tokens {
        match verifier.decide_now(token, &Demand::ordinary()) {
            Some(decided) => {
                decided.unwrap();
                hits += 1;
            }
            None => drop(verifier.decide(token.as_str(), &Demand::ordinary()).await.unwrap()),
        }
    }
    hits
}

#[tokio::test]
async fn honest_traffic_is_answered_from_memory_as_before() {
    let _alone = ALONE.lock().await;
    // As many honest tokens as the cache is made for: any forged one that got in would push one out.
    let verifier = verifier(1024);
    let tokens: Vec<String> = (0..1000).map(honest).collect();
    let forger = Forger::new();
    const ROUNDS: usize = 10;
    round(&verifier, &tokens).await;
    let mut before = 0;
    for _ in 0..ROUNDS {
        before += round(&verifier, &tokens).await;
    }
    let held: Vec<bool> =
        tokens.iter().map(|token| verifier.decide_now(token, &Demand::ordinary()).is_some()).collect();
    let entries = verifier.cache_stats().entries;
    // First without any honest call in between: not one entry goes, and not one comes.
    for number in 0..FORGED / 2 {
        let (token, reason) = forger.forge(number);
        assert_eq!(verifier.decide(token, &Demand::ordinary()).await.unwrap_err().reason, reason);
    }
    let after: Vec<bool> =
        tokens.iter().map(|token| verifier.decide_now(token, &Demand::ordinary()).is_some()).collect();
    assert_eq!(held, after);
    assert_eq!(verifier.cache_stats().entries, entries);
    // Then mixed with honest calls, five forged ones to each.
    let mut during = 0;
    for (number, honest) in (0..ROUNDS * tokens.len()).zip(tokens.iter().cycle()) {
        for number in (0..5).map(|each| FORGED / 2 + number * 5 + each) {
            let (token, reason) = forger.forge(number);
            assert_eq!(verifier.decide(token, &Demand::ordinary()).await.unwrap_err().reason, reason);
        }
        during += round(&verifier, std::slice::from_ref(honest)).await;
    }
    let calls = ROUNDS * tokens.len();
    println!("answered from memory: {before} of {calls} before, {during} during the flood");
    // Not all: honest tokens that share a full bucket push each other out, flood or not, and not always the same ones.
    assert!(before > calls * 3 / 4, "{before}");
    assert!(during + calls / 100 >= before, "{before} {during}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_does_not_grow() {
    let _alone = ALONE.lock().await;
    let verifier = verifier(8192);
    let forger = Forger::new();
    let flood = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let refused = verifier.decide(forger.forge(number).0, &Demand::ordinary()).await;
            assert!(refused.is_err());
        }
    };
    // What the allocator and the libraries keep from the first calls is not the flood's.
    flood(0..FORGED / 10).await;
    let before = resident_bytes();
    flood(FORGED..2 * FORGED).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("resident memory grew by {grown} bytes");
    // Twenty bytes for each forged token would be more.
    assert!(grown < 20 * FORGED, "{grown}");
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[cfg(feature = "http")]
mod at_a_url {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Instant;

    use propusk_verify::KeySource;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A server of one key set that counts how often it is asked.
    struct Server {
        url: String,
        asked: Arc<AtomicUsize>,
        away: Arc<AtomicBool>,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
            let server = Self { url, asked: Arc::default(), away: Arc::default() };
            let (asked, away) = (Arc::clone(&server.asked), Arc::clone(&server.away));
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(stream, Arc::clone(&asked), Arc::clone(&away)));
                }
            });
            server
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn verifier(&self) -> Verifier {
            let keys = KeySource::jwks_url(&self.url).unwrap();
            Verifier::builder().issuer(ISSUER).audience("cars").keys(keys).build()
        }
    }

    async fn serve(mut stream: TcpStream, asked: Arc<AtomicUsize>, away: Arc<AtomicBool>) {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            if !request.ends_with(b"\r\n\r\n") {
                continue;
            }
            request.clear();
            asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = match away.load(Ordering::SeqCst) {
                true => ("503 Service Unavailable", String::new()),
                false => ("200 OK", jwks()),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncache-control: max-age=3600\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    /// Sends the flood over several tasks at once and says how many were refused for each of the two reasons.
    async fn flood(verifier: &Verifier, tokens: usize) -> (usize, usize) {
        const TASKS: usize = 8;
        let forger = Arc::new(Forger::new());
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (verifier, forger) = (verifier.clone(), Arc::clone(&forger));
                tokio::spawn(async move {
                    let (mut unknown, mut unavailable) = (0, 0);
                    for number in (task..tokens).step_by(TASKS) {
                        match verifier
                            .decide(forger.of_unknown_key(number), &Demand::ordinary())
                            .await
                            .unwrap_err()
                            .reason
                        {
                            Reason::KidUnknown => unknown += 1,
                            Reason::KidUnavailable => unavailable += 1,
                            reason => panic!("{reason:?}"),
                        }
                    }
                    (unknown, unavailable)
                })
            })
            .collect();
        let mut sums = (0, 0);
        for task in tasks {
            let (unknown, unavailable) = task.await.unwrap();
            sums = (sums.0 + unknown, sums.1 + unavailable);
        }
        sums
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn unknown_keys_cause_a_fetch_in_thirty_seconds_and_no_more() {
        let _alone = ALONE.lock().await;
        let server = Server::start().await;
        let verifier = server.verifier();
        let began = Instant::now();
        let (unknown, unavailable) = flood(&verifier, FORGED).await;
        assert_eq!((unknown, unavailable), (FORGED, 0));
        let allowed = 1 + began.elapsed().as_secs() as usize / 30;
        assert!((1..=allowed).contains(&server.asked()), "{} of {allowed}", server.asked());
        // Honest callers are let in all the while, by what is known.
        assert!(verifier.decide(honest(1), &Demand::ordinary()).await.is_ok());
        assert!(server.asked() <= 1 + began.elapsed().as_secs() as usize / 30);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_the_set_cannot_be_fetched_nobody_is_told_that_a_key_is_unknown() {
        let _alone = ALONE.lock().await;
        let server = Server::start().await;
        server.away.store(true, Ordering::SeqCst);
        let verifier = server.verifier();
        let began = Instant::now();
        let (unknown, unavailable) = flood(&verifier, FORGED / 10).await;
        assert_eq!((unknown, unavailable), (0, FORGED / 10));
        // The first set is tried for once a second, for nobody can be let in without it.
        let allowed = 1 + began.elapsed().as_secs() as usize;
        assert!((1..=allowed).contains(&server.asked()), "{} of {allowed}", server.asked());
    }
}
