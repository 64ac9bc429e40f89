//! Keys.

use super::*;

pub(crate) async fn keys_come_in_order(store: &impl Backend) {
    store.with_services(&["posts", "cars", "empty"]).await;
    let made = |kid, of, state, at| SealedKey { created_at: Timestamp(at), ..key(kid, of, state) };
    let keys = [
        made("k1", "posts", KeyState::Active, 30),
        made("k2", "posts", KeyState::Revoked, 10),
        made("k3", "cars", KeyState::Staged, 20),
        made("k4", "cars", KeyState::Retiring, 5),
        SealedKey { activated_at: Some(Timestamp(21)), ..made("k5", "cars", KeyState::Active, 20) },
    ];
    let all = keys.clone();
    store.write(move |tx| all.iter().try_for_each(|key| tx.insert_key(key))).await.unwrap();
    let kids = |keys: Vec<SealedKey>| keys.iter().map(|key| key.kid.to_string()).collect::<Vec<_>>();
    assert_eq!(kids(store.read(|tx| tx.all_keys()).await.unwrap()), ["k4", "k3", "k5", "k2", "k1"]);
    assert_eq!(kids(store.read(|tx| tx.keys_of(&service_id("posts"))).await.unwrap()), ["k2", "k1"]);
    assert_eq!(store.read(|tx| tx.keys_of(&service_id("empty"))).await.unwrap(), []);
    assert_eq!(store.read(|tx| tx.active_key(&service_id("cars"))).await.unwrap(), Some(keys[4].clone()));
    assert_eq!(store.read(|tx| tx.active_key(&service_id("empty"))).await.unwrap(), None);
}

pub(crate) async fn a_ring_has_one_active_key(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let insert = |kid, of, state| store.write(move |tx| tx.insert_key(&key(kid, of, state)));
    insert("k1", "cars", KeyState::Active).await.unwrap();
    insert("k2", "posts", KeyState::Active).await.unwrap();
    for (kid, state) in [("k3", KeyState::Staged), ("k4", KeyState::Staged), ("k5", KeyState::Retiring)] {
        insert(kid, "cars", state).await.unwrap();
    }
    assert!(insert("k6", "cars", KeyState::Active).await.is_err());
    let active = store.read(|tx| tx.active_key(&service_id("cars"))).await.unwrap();
    assert_eq!(active, Some(key("k1", "cars", KeyState::Active)));
}

pub(crate) async fn a_key_belongs_to_a_service_and_is_there_once(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let insert = |kid, of| store.write(move |tx| tx.insert_key(&key(kid, of, KeyState::Staged)));
    insert("k1", "cars").await.unwrap();
    assert!(insert("k1", "posts").await.is_err());
    assert!(insert("k2", "none").await.is_err());
    assert_eq!(store.read(|tx| tx.all_keys()).await.unwrap(), [key("k1", "cars", KeyState::Staged)]);
}

pub(crate) async fn a_key_lives_on_and_goes(store: &impl Backend) {
    store.with_services(&["cars"]).await;
    let staged = SealedKey { published_seq: Some(7), ..key("k1", "cars", KeyState::Staged) };
    let retired = SealedKey {
        state: KeyState::Retiring,
        promoted_at: Some(Timestamp(20)),
        activated_at: Some(Timestamp(30)),
        until: Some(40),
        ..staged.clone()
    };
    // No more of it changes.
    let update = SealedKey { public_spki: vec![9], sealed_pkcs8: vec![9], published_seq: Some(9), ..retired.clone() };
    store.write(move |tx| tx.insert_key(&staged)).await.unwrap();
    store.write(move |tx| tx.update_key(&update)).await.unwrap();
    let read = || store.read(|tx| tx.key(&"k1".parse().unwrap()));
    assert_eq!(read().await.unwrap(), Some(retired));
    let delete = || store.write(|tx| tx.delete_key(&"k1".parse().unwrap()));
    delete().await.unwrap();
    assert_eq!(read().await.unwrap(), None);
    assert!(delete().await.is_err());
    assert!(store.write(|tx| tx.update_key(&key("k1", "cars", KeyState::Revoked))).await.is_err());
}

pub(crate) async fn keys_are_published_once(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let (first, other) = (key("k1", "cars", KeyState::Active), key("k2", "posts", KeyState::Active));
    store.write(move |tx| [first, other].iter().try_for_each(|key| tx.insert_key(key))).await.unwrap();
    store.write(|tx| tx.publish_keys(&service_id("cars"), 5)).await.unwrap();
    store.write(|tx| tx.insert_key(&key("k3", "cars", KeyState::Staged))).await.unwrap();
    store.write(|tx| tx.publish_keys(&service_id("cars"), 6)).await.unwrap();
    let all = store.read(|tx| tx.all_keys()).await.unwrap();
    let published: Vec<_> = all.iter().map(|key| (key.kid.as_str(), key.published_seq)).collect();
    assert_eq!(published, [("k1", Some(5)), ("k3", Some(6)), ("k2", None)]);
}
