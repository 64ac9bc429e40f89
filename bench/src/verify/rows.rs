//! The rows of the table.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures_util::FutureExt as _;
use hashbrown::HashMap;
use propusk_verify::Demand;
use propusk_verify::cache::CacheLimits;
use propusk_verify::clock::{Clock as _, SystemClock};

use super::tokens::{AUDIENCE, ISSUER, Signer};
use super::{Bench, Pair, Size, pair};
use crate::report::{Figure, Row, say};
use crate::stats::median;

type BareMap = HashMap<Box<str>, u64, foldhash::fast::RandomState>;

pub(super) fn all(size: Size) -> Vec<Row> {
    let now = SystemClock.unix_seconds();
    let signer = Signer::ed25519();
    say(&format!("signing {} tokens", size.many));
    let tokens: Vec<String> = (0..size.many).map(|number| signer.token(number, now)).collect();
    let thousand = &tokens[..1000];
    let mut rows: Vec<Row> = [64, 1000, size.many].map(|live| seen_before(size, &signer, &tokens[..live])).into();
    rows.push(against_jsonwebtoken(size, &signer, thousand));
    rows.extend(with_revocations(size, &signer, thousand));
    rows.extend(two_threads(size, &signer, thousand));
    rows.extend(not_seen_before(size));
    rows.push(elite(size, &signer, thousand));
    rows.push(memory(size, &signer));
    rows
}

fn limits(live: usize) -> CacheLimits {
    CacheLimits { entries: (live * 2).max(8192), bytes: 4 << 30 }
}

/// The tokens in an order that neither side can predict.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(index, (state >> 33) as usize % (index + 1));
    }
    order
}

fn bare_map(tokens: &[String]) -> BareMap {
    tokens.iter().map(|token| (token.clone().into_boxed_str(), u64::MAX)).collect()
}

/// Looks up, compares in full, and reads the same clocks.
fn bare_look(map: &BareMap, token: &str) -> bool {
    let found = map.get(token).copied();
    let (moment, unix) = SystemClock.coarse();
    found.is_some_and(|exp| unix < exp && moment.as_nanos() > 0)
}

fn cycle<'a>(tokens: &'a [String], order: &'a [usize]) -> impl Iterator<Item = &'a str> {
    order.iter().cycle().map(|number| tokens[*number].as_str())
}

fn row(what: impl Into<String>, beside: &str, pair: Pair, bound: f64) -> Row {
    Row::new(what, format!("beside: {beside}"))
        .with(Figure::new("one decision", "ns", pair.ours).beside(pair.bare))
        .with(Figure::new("ratio", "", pair.ratio).at_most(bound))
}

fn seen_before(size: Size, signer: &Signer, tokens: &[String]) -> Row {
    let bench = Bench::new(signer, limits(tokens.len()));
    bench.warm(tokens);
    // A full bucket can have cost one of a thousand its place: what is measured is hits.
    let demand = Demand::ordinary();
    let kept: Vec<String> =
        tokens.iter().filter(|token| bench.verifier.decide_now(token, &demand).is_some()).cloned().collect();
    assert!(kept.len() * 100 >= tokens.len() * 99, "{} of {} kept", kept.len(), tokens.len());
    let tokens = kept.as_slice();
    let (map, order) = (bare_map(tokens), shuffled(tokens.len()));
    let (mut at_ours, mut at_bare) = (cycle(tokens, &order), cycle(tokens, &order));
    let measured = pair(
        size,
        &mut |count| {
            for token in at_ours.by_ref().take(count) {
                black_box(bench.verifier.decide_now(token, &demand).expect("from memory").expect("let in"));
            }
        },
        &mut |count| {
            for token in at_bare.by_ref().take(count) {
                assert!(black_box(bare_look(&map, token)));
            }
        },
    );
    let what = format!("ordinary, seen before, {} live tokens", tokens.len());
    row(what, "a bare map with full compare and the same clock reads", measured, 1.25)
}

fn against_jsonwebtoken(size: Size, signer: &Signer, tokens: &[String]) -> Row {
    let bench = Bench::new(signer, limits(tokens.len()));
    bench.warm(tokens);
    let key = jsonwebtoken::DecodingKey::from_ed_components(&Base64UrlUnpadded::encode_string(&signer.public()))
        .expect("a key");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let (order, demand) = (shuffled(tokens.len()), Demand::ordinary());
    let (mut at_ours, mut at_theirs) = (cycle(tokens, &order), cycle(tokens, &order));
    let pair = pair(
        size,
        &mut |count| {
            for token in at_ours.by_ref().take(count) {
                black_box(bench.verifier.decide_now(token, &demand).expect("from memory").expect("let in"));
            }
        },
        &mut |count| {
            for token in at_theirs.by_ref().take(count) {
                black_box(jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).expect("a good token"));
            }
        },
    );
    Row::new("ordinary, seen before, 1000 live tokens", "beside: jsonwebtoken 11 over aws-lc, the same token each time")
        .with(Figure::new("one decision", "ns", pair.ours).beside(pair.bare))
        .with(Figure::new("times faster", "", 1.0 / pair.ratio).at_least(500.0))
}

/// A million live revocations and a thousand new ones a second, at full speed and at 20,000 decisions a second.
fn with_revocations(size: Size, signer: &Signer, tokens: &[String]) -> Vec<Row> {
    let mut bench = Bench::new(signer, limits(tokens.len()));
    bench.revoke(size.many);
    bench.warm(tokens);
    let (verifier, demand) = (bench.verifier.clone(), Demand::ordinary());
    let (map, order) = (bare_map(tokens), shuffled(tokens.len()));
    let mut decide = |token: &str| {
        black_box(verifier.decide_now(token, &demand).expect("from memory").expect("let in"));
    };
    // What the pace alone costs: a decision that comes alone waits for memory, which many at once do not.
    let calm = paced(size, tokens, &order, &mut decide);
    let bare_calm = paced(size, tokens, &order, &mut |token| assert!(black_box(bare_look(&map, token))));
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let started = Instant::now();
            let mut published = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                bench.revoke(1);
                published += 1;
                let due = started + Duration::from_millis(1) * published;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        })
    };
    let (mut at_ours, mut at_bare) = (cycle(tokens, &order), cycle(tokens, &order));
    let mut bare = |count: usize| {
        for token in at_bare.by_ref().take(count) {
            assert!(black_box(bare_look(&map, token)));
        }
    };
    let full = pair(
        size,
        &mut |count| {
            at_ours.by_ref().take(count).for_each(&mut decide);
        },
        &mut bare,
    );
    let paced = paced(size, tokens, &order, &mut decide);
    stop.store(true, Ordering::Relaxed);
    publisher.join().expect("the publisher ends");
    let slow = Pair { ours: paced, bare: full.bare, ratio: paced / full.bare };
    let what = |pace: &str| format!("ordinary, {} live revocations, 1,000 new a second, {pace}", size.many);
    vec![
        row(what("at full speed"), "the bare map of 1000 tokens", full, 2.0),
        row(what("20,000 decisions a second: each looks again"), "the bare map of 1000 tokens", slow, 4.0)
            .with(Figure::new("at this pace, with nothing new", "ns", calm).beside(bare_calm)),
    ]
}

/// The median cost of a decision when there is one each 50 µs.
fn paced(size: Size, tokens: &[String], order: &[usize], decide: &mut dyn FnMut(&str)) -> f64 {
    let mut costs = Vec::new();
    let started = Instant::now();
    for (turn, token) in (1_u32..).zip(cycle(tokens, order)) {
        // The clock's own cost is measured each time and taken off.
        let before = Instant::now();
        let empty = Instant::now();
        decide(token);
        let after = Instant::now();
        costs.push((after - empty).saturating_sub(empty - before).as_nanos() as f64);
        if started.elapsed() > size.slice * u32::try_from(size.rounds).unwrap_or(u32::MAX) {
            break;
        }
        while started.elapsed() < Duration::from_micros(50) * turn {
            std::hint::spin_loop();
        }
    }
    median(costs)
}

/// How both scale from one thread to two: the ratio of the speed-ups, ours ÷ that of a map for each thread.
fn two_threads(size: Size, signer: &Signer, tokens: &[String]) -> Vec<Row> {
    let bench = Bench::new(signer, limits(tokens.len()));
    bench.warm(tokens);
    let map = bare_map(tokens);
    let (half_a, half_b) = tokens.split_at(tokens.len() / 2);
    let hot = &tokens[..1];
    let mut rows = Vec::new();
    for (what, sets) in [("distinct tokens", [half_a, half_b]), ("one hot token", [hot, hot])] {
        let mut ratios = Vec::new();
        let (mut ours_two, mut bare_two) = (Vec::new(), Vec::new());
        for _ in 0..size.rounds.min(15) {
            let ours = |set: &[String], until: Instant| {
                let demand = Demand::ordinary();
                count_until(until, set, |token| {
                    black_box(bench.verifier.decide_now(token, &demand).expect("from memory").expect("let in"));
                })
            };
            let own = [map.clone(), map.clone()];
            let bare = |which: usize, set: &[String], until: Instant| {
                count_until(until, set, |token| assert!(black_box(bare_look(&own[which], token))))
            };
            let slice = size.slice;
            let one_ours = ours(sets[0], Instant::now() + slice);
            let one_bare = bare(0, sets[0], Instant::now() + slice);
            let both = |job: &(dyn Fn(usize, Instant) -> u64 + Sync)| {
                let until = Instant::now() + slice;
                std::thread::scope(|scope| {
                    let workers = [0, 1].map(|which| scope.spawn(move || job(which, until)));
                    workers.into_iter().map(|worker| worker.join().expect("a worker ends")).sum::<u64>()
                })
            };
            let two_ours = both(&|which, until| ours(sets[which], until));
            let two_bare = both(&|which, until| bare(which, sets[which], until));
            let scaling = |two: u64, one: u64| two as f64 / one as f64;
            ratios.push(scaling(two_ours, one_ours) / scaling(two_bare, one_bare));
            ours_two.push(slice.as_nanos() as f64 / two_ours as f64);
            bare_two.push(slice.as_nanos() as f64 / two_bare as f64);
        }
        let row = Row::new(
            format!("two threads, {what}"),
            "beside: a bare map for each thread; the speed-up over one thread",
        )
        .with(Figure::new("one decision", "ns", median(ours_two)).beside(median(bare_two)))
        .with(Figure::new("speed-up, ours ÷ bare", "", median(ratios)).at_least(0.95));
        rows.push(row);
    }
    rows
}

fn count_until(until: Instant, tokens: &[String], mut each: impl FnMut(&str)) -> u64 {
    let mut count = 0;
    for token in tokens.iter().cycle() {
        each(token);
        count += 1;
        if count % 256 == 0 && Instant::now() >= until {
            break;
        }
    }
    count
}

/// Without a cache: the whole of a verification, beside the bare signature check.
fn not_seen_before(size: Size) -> Vec<Row> {
    let now = SystemClock.unix_seconds();
    [Signer::ed25519(), Signer::es256(), Signer::rs256(), Signer::hs256()]
        .iter()
        .map(|signer| {
            let bench = Bench::new(signer, CacheLimits { entries: 0, bytes: 0 });
            let tokens: Vec<String> = (0..64).map(|number| signer.token(number, now)).collect();
            let bare = bare_check(signer);
            let parts: Vec<(&str, Vec<u8>)> = tokens
                .iter()
                .map(|token| {
                    let (input, signature) = token.rsplit_once('.').expect("a token");
                    (input, Base64UrlUnpadded::decode_vec(signature).expect("a signature"))
                })
                .collect();
            let demand = Demand::ordinary();
            let (mut at_ours, mut at_bare) = (tokens.iter().cycle(), parts.iter().cycle());
            let measured = pair(
                size,
                &mut |count| {
                    for token in at_ours.by_ref().take(count) {
                        black_box(
                            bench.verifier.decide(token, &demand).now_or_never().expect("at once").expect("good"),
                        );
                    }
                },
                &mut |count| {
                    for (input, signature) in at_bare.by_ref().take(count) {
                        assert!(black_box(bare(input.as_bytes(), signature)));
                    }
                },
            );
            let what = format!("not seen before, {}", signer.alg());
            if signer.alg() == "HS256" {
                return Row::new(what, "beside: the bare aws-lc-rs check of the tag")
                    .with(Figure::new("one decision", "ns", measured.ours).beside(measured.bare).at_most(1500.0));
            }
            row(what, "the bare aws-lc-rs signature check", measured, 1.15)
        })
        .collect()
}

/// Whether a signature is one over a message.
type Check = Box<dyn Fn(&[u8], &[u8]) -> bool>;

fn bare_check(signer: &Signer) -> Check {
    let public = signer.public();
    let parsed = |key: ParsedPublicKey| -> Check {
        Box::new(move |message, signature| key.verify_sig(message, signature).is_ok())
    };
    match signer {
        Signer::Ed25519(_) => parsed(ParsedPublicKey::new(&ED25519, public).expect("a key")),
        Signer::Es256(_) => parsed(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).expect("a key")),
        Signer::Rs256(_) => parsed(ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).expect("a key")),
        Signer::Hs256(..) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
            Box::new(move |message, signature| hmac::verify(&key, message, signature).is_ok())
        }
    }
}

fn elite(size: Size, signer: &Signer, tokens: &[String]) -> Row {
    let bench = Bench::new(signer, limits(tokens.len()));
    bench.warm(tokens);
    let order = shuffled(tokens.len());
    let (elite, ordinary) = (Demand::elite(), Demand::ordinary());
    let (mut at_elite, mut at_ordinary) = (cycle(tokens, &order), cycle(tokens, &order));
    let measured = pair(
        size,
        &mut |count| {
            for token in at_elite.by_ref().take(count) {
                black_box(bench.verifier.decide_now(token, &elite).expect("by lease").expect("let in"));
            }
        },
        &mut |count| {
            for token in at_ordinary.by_ref().take(count) {
                black_box(bench.verifier.decide_now(token, &ordinary).expect("from memory").expect("let in"));
            }
        },
    );
    let clock = pair(
        size,
        &mut |count| {
            for _ in 0..count {
                black_box(SystemClock.moment());
            }
        },
        &mut |count| {
            for _ in 0..count {
                black_box(SystemClock.unix_seconds());
            }
        },
    );
    Row::new(
        "elite by lease, 1000 live tokens",
        "beside: ordinary; the bound is that, one CLOCK_BOOTTIME read and 15 ns",
    )
    .with(Figure::new("one decision", "ns", measured.ours).beside(measured.bare))
    .with(Figure::new("more than ordinary", "ns", measured.ours - measured.bare).at_most(clock.ours + 15.0))
}

/// What the process grows by when a million revocations come.
fn memory(size: Size, signer: &Signer) -> Row {
    let mut bench = Bench::new(signer, CacheLimits { entries: 0, bytes: 0 });
    let before = resident();
    for _ in 0..size.many.div_ceil(1000) {
        bench.revoke(1000);
    }
    let grown = resident().saturating_sub(before) as f64 / 1e6;
    Row::new(format!("memory with {} live revocations", size.many), "resident set, above that of an empty view")
        .with(Figure::new("grown by", "MB", grown).at_most(64.0))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4096
}
