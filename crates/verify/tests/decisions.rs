//! What decisions go by: a view that knows nothing yet, a lease, memory, the authority's answer and its floor.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures_util::FutureExt as _;
use propusk_verify::check::{BoxFuture, CheckItem, CheckReply, CheckUnavailable, CheckVerdict, OnlineCheck};
use propusk_verify::clock::{Clock, Moment};
use propusk_verify::decision::{By, PastBound};
use propusk_verify::feed::{Batch, Change, Drift, Event, Follower, Grant, Instance, View};
use propusk_verify::jose::KeyRing;
use propusk_verify::{Demand, Reason, Verifier};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example.com";
/// What our wall clock says, Unix seconds.
const NOW: u64 = 1_800_000_000;
/// The end of the one token.
const EXP: u64 = NOW + 300;

/// A machine that has just started: both clocks say what they are told.
#[derive(Default)]
struct Clocks {
    since_boot_ms: AtomicU64,
}

impl Clock for Clocks {
    fn moment(&self) -> Moment {
        Moment::BEGINNING.plus(Duration::from_millis(self.since_boot_ms.load(Ordering::Relaxed)))
    }

    fn unix_seconds(&self) -> u64 {
        NOW
    }
}

/// An authority that finds everything good, and whose floor is where it is put.
#[derive(Default)]
struct Authority {
    floor: AtomicU64,
}

impl OnlineCheck for Authority {
    fn check(&self, items: Vec<CheckItem>) -> BoxFuture<'_, Result<CheckReply, CheckUnavailable>> {
        let good = || CheckVerdict::Good { roles: Vec::new(), permissions: Vec::new() };
        let answers = items.iter().map(|_| good()).collect();
        let reply = CheckReply { as_of_seq: 7, floor: self.floor.load(Ordering::Relaxed), answers };
        Box::pin(async move { Ok(reply) })
    }
}

struct World {
    key: Ed25519KeyPair,
    clocks: Arc<Clocks>,
    authority: Arc<Authority>,
    view: Arc<View>,
    follower: Follower,
    verifier: Verifier,
}

impl World {
    /// The view has the key; it does not know how fresh that is.
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let view = Arc::new(View::new(["cars"]));
        let mut follower = Follower::new(Instance::draw(), Drift::default());
        let change = Change::KeysChanged { aud: "cars".to_owned(), ring: Arc::new(ring(&key)) };
        let events = vec![Event { seq: 1, until: u64::MAX, change }];
        follower.batch(&view, Batch { from: 0, to: 1, floor: 0, events, part: 0, last: true });
        let (clocks, authority) = (Arc::new(Clocks::default()), Arc::new(Authority::default()));
        let verifier = Verifier::builder()
            .issuer(ISSUER)
            .audience("cars")
            .view(Arc::clone(&view))
            .check(Arc::<Authority>::clone(&authority))
            .clock(Arc::<Clocks>::clone(&clocks))
            .build();
        Self { key, clocks, authority, view, follower, verifier }
    }

    fn at(&self, since_boot_ms: u64) {
        self.clocks.since_boot_ms.store(since_boot_ms, Ordering::Relaxed);
    }

    /// A renewal now, granted at once.
    fn granted(&mut self, lease: Duration) {
        let now = self.clocks.moment();
        let renewal = self.follower.renew(now);
        let grant = Grant { n: renewal.n, head: 1, lease, age: Duration::ZERO, floor: 0 };
        self.follower.grant(&self.view, grant, now);
    }

    fn decide(&self, demand: &Demand) -> Result<By, Reason> {
        let raw = token(&self.key);
        let decided = self.verifier.decide(&raw, demand).now_or_never().unwrap();
        decided.map(|permit| permit.report().by).map_err(|refusal| refusal.reason)
    }
}

fn ring(key: &Ed25519KeyPair) -> KeyRing {
    let x = Base64UrlUnpadded::encode_string(key.public_key().as_ref());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x }] });
    KeyRing::from_jwks(jwks.to_string().as_bytes()).unwrap()
}

fn token(key: &Ed25519KeyPair) -> String {
    let b64 = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let header = b64(json!({ "alg": "EdDSA", "kid": "k", "typ": "at+jwt" }));
    let claims = b64(json!({
        "iss": ISSUER, "sub": "u_1", "aud": "cars", "client_id": "gateway", "iat": NOW, "exp": EXP, "jti": "t_1",
        "epoch": 1, "roles": [],
    }));
    let input = format!("{header}.{claims}");
    let signature = Base64UrlUnpadded::encode_string(key.sign(input.as_bytes()).as_ref());
    format!("{input}.{signature}")
}

#[test]
fn a_view_that_knows_nothing_yet_is_not_fresh_however_young_the_machine() {
    let mut world = World::new();
    let ordinary = Demand::ordinary();
    // A second after boot, and no view is ever younger than the machine: its age alone would be within the bound.
    world.at(1_000);
    assert_eq!(world.decide(&ordinary), Err(Reason::TooOld));
    assert_eq!(world.decide(&ordinary.clone().past_bound(PastBound::Online)), Ok(By::Online));
    assert_eq!(world.decide(&Demand::elite()), Ok(By::Online));
    // Nor does it say of a key that the authority does not know it.
    let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let raw = token(&stranger).replacen(&header_of("k"), &header_of("unheard-of"), 1);
    let refused = |world: &World| world.verifier.decide(&raw, &Demand::ordinary()).now_or_never().unwrap().unwrap_err();
    assert_eq!(refused(&world).reason, Reason::KidUnavailable);
    // The first grant says how fresh it is.
    world.granted(Duration::ZERO);
    assert_eq!(world.decide(&ordinary), Ok(By::Memory));
    assert_eq!(refused(&world).reason, Reason::KidUnknown);
}

fn header_of(kid: &str) -> String {
    Base64UrlUnpadded::encode_string(json!({ "alg": "EdDSA", "kid": kid, "typ": "at+jwt" }).to_string().as_bytes())
}

#[test]
fn each_class_says_what_it_went_by() {
    let mut world = World::new();
    world.at(1_000_000);
    world.granted(Duration::from_secs(3));
    assert_eq!(world.decide(&Demand::elite()), Ok(By::Lease));
    assert_eq!(world.decide(&Demand::ordinary()), Ok(By::Memory), "a lease runs, and nobody needs it");
    world.at(1_003_000);
    assert_eq!(world.decide(&Demand::elite()), Ok(By::Online), "the lease is over");
    assert_eq!(world.decide(&Demand::ordinary()), Ok(By::Memory));
    world.at(1_010_000);
    assert_eq!(world.decide(&Demand::ordinary()), Err(Reason::TooOld));
    assert_eq!(world.decide(&Demand::ordinary().past_bound(PastBound::Online)), Ok(By::Online));
    assert_eq!(world.decide(&Demand::ordinary().past_bound(PastBound::Serve)), Ok(By::Memory));
}

/// The wall clock is slow by hours, the token was revoked, and the authority has forgotten that: it finds nothing.
#[test]
fn an_answer_of_good_does_not_bring_back_what_the_floor_has_passed() {
    let world = World::new();
    world.at(1_000_000);
    let online = [Demand::elite(), Demand::ordinary().past_bound(PastBound::Online)];
    for (floor, decided) in
        [(EXP - 1, Ok(By::Online)), (EXP, Err(Reason::ExpPast)), (EXP + 9_999, Err(Reason::ExpPast))]
    {
        world.authority.floor.store(floor, Ordering::Relaxed);
        for demand in &online {
            assert_eq!(world.decide(demand), decided, "floor {floor}");
        }
    }
    let permit = {
        world.authority.floor.store(0, Ordering::Relaxed);
        world.verifier.decide(&token(&world.key), &Demand::elite()).now_or_never().unwrap().unwrap()
    };
    // Neither at the moment of effect.
    world.authority.floor.store(EXP, Ordering::Relaxed);
    let again = world.verifier.decide_again(&permit, &Demand::elite()).now_or_never().unwrap();
    assert_eq!(again.unwrap_err().reason, Reason::ExpPast);
}
