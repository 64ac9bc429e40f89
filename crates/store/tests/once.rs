//! Answers that are kept for who asks again, over a real store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

use propusk_core::env::{Env, SystemRandom, Timestamp};
use propusk_core::idempotency::{self, KEPT_FOR, KeptAnswer, OnceKey, OtherRequest};
use propusk_core::keys::Kek;
use propusk_store::{SqliteStore, Synchronous};

#[tokio::test]
async fn an_answer_is_kept_for_a_day_for_the_same_request_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("authority.db"), Synchronous::Off).unwrap();
    let text = Kek::generate_text(&SystemRandom).to_string();
    let key =
        |caller: &str, name: &str, body: &str| OnceKey::new(caller, name, &[b"POST", b"/clients", body.as_bytes()]);
    let answer = KeptAnswer {
        status: 201,
        seq: Some(7),
        version: Some(1),
        body: Some("{\"client_secret\":\"psk_1\"}".to_owned()),
    };
    let begun = Timestamp(1_795_356_000_000);
    let (kek, kept, first) = (Kek::from_text(&text).unwrap(), answer.clone(), key("ann", "k", "{}"));
    let keep = store.write(move |tx| idempotency::keep(tx, at(begun), &kek, &first, &kept));
    keep.await.unwrap();
    let ask = async |text: &str, key: OnceKey, now: Timestamp| {
        let kek = Kek::from_text(text).unwrap();
        store.write(move |tx| idempotency::kept(tx, at(now), &kek, &key)).await.unwrap()
    };
    let last = begun.plus(KEPT_FOR);
    assert_eq!(ask(&text, key("ann", "k", "{}"), last).await, Ok(Some(answer)));
    assert_eq!(ask(&text, key("ann", "k", "{ }"), last).await, Err(OtherRequest));
    assert_eq!(ask(&text, key("ben", "k", "{}"), last).await, Ok(None));
    assert_eq!(ask(&text, key("ann", "l", "{}"), last).await, Ok(None));
    // Under another key-encryption key it is as good as lost, and no error.
    let other = Kek::generate_text(&SystemRandom).to_string();
    assert_eq!(ask(&other, key("ann", "k", "{}"), last).await, Ok(None));
    assert_eq!(ask(&text, key("ann", "k", "{ }"), Timestamp(last.0 + 1)).await, Ok(None), "a day later it is gone");
}

fn at(now: Timestamp) -> Env<'static> {
    Env { now, random: &SystemRandom }
}
