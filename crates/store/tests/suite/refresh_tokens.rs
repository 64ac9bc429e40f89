//! Refresh tokens.

use super::*;

pub(crate) async fn a_refresh_token_is_used_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1")]).await;
    let find = |n: u8| store.read(move |tx| tx.refresh_token(&place(n, "s_1")));
    store.write(|tx| tx.insert_refresh_token(&token(1, "s_1"))).await.unwrap();
    assert_eq!(find(1).await.unwrap(), Some(token(1, "s_1")));
    let rotation = |n: u8| Rotation { at: Timestamp(n.into()), sealed_successor: vec![n; 75] };
    let rotate = |of, to| store.write(move |tx| tx.rotate_refresh_token(&place(of, "s_1"), &rotation(to)));
    assert!(rotate(1, 2).await.unwrap());
    assert!(!rotate(1, 3).await.unwrap(), "it was used before");
    assert!(!rotate(9, 3).await.unwrap(), "there is no such token");
    let used = RefreshToken { rotation: Some(rotation(2)), ..token(1, "s_1") };
    assert_eq!(find(1).await.unwrap(), Some(used.clone()));
    assert_eq!(find(9).await.unwrap(), None);
    // One that was used before it came in.
    let used = RefreshToken { place: place(4, "s_1"), hash: hash(4), ..used };
    let new = used.clone();
    store.write(move |tx| tx.insert_refresh_token(&new)).await.unwrap();
    assert_eq!(find(4).await.unwrap(), Some(used));
}

pub(crate) async fn a_refresh_token_needs_a_session_and_is_there_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let insert = |n, of| store.write(move |tx| tx.insert_refresh_token(&token(n, of)));
    insert(1, "s_1").await.unwrap();
    assert!(insert(1, "s_1").await.is_err());
    assert!(insert(2, "s_none").await.is_err());
    insert(1, "s_2").await.unwrap();
    let find = |of| store.read(move |tx| tx.refresh_token(&place(1, of)));
    assert_eq!(find("s_1").await.unwrap(), Some(token(1, "s_1")));
    assert_eq!(find("s_2").await.unwrap(), Some(token(1, "s_2")), "each session counts its own");
}

/// Those of earlier versions have numbers below zero, and only they are found by their hash.
pub(crate) async fn refresh_tokens_without_a_place_are_found_by_their_hash(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let numbered = |n: u8, number| {
        let place = TokenPlace { number, ..place(n, "s_1") };
        RefreshToken { place, ..token(n, "s_1") }
    };
    let insert = |token: RefreshToken| store.write(move |tx| tx.insert_refresh_token(&token));
    insert(numbered(1, -1)).await.unwrap();
    insert(numbered(2, 0)).await.unwrap();
    let twice = RefreshToken { place: TokenPlace { number: -1, ..place(0, "s_2") }, ..token(1, "s_2") };
    assert!(insert(twice).await.is_err(), "one token of two sessions");
    let find = |n| store.read(move |tx| tx.refresh_token_without_place(&hash(n)));
    assert_eq!(find(1).await.unwrap(), Some(numbered(1, -1)));
    assert_eq!((find(2).await.unwrap(), find(3).await.unwrap()), (None, None));
    let used = Rotation { at: Timestamp(5), sealed_successor: vec![5] };
    let rotation = used.clone();
    assert!(store.write(move |tx| tx.rotate_refresh_token(&numbered(1, -1).place, &rotation)).await.unwrap());
    assert_eq!(find(1).await.unwrap(), Some(RefreshToken { rotation: Some(used), ..numbered(1, -1) }));
}

pub(crate) async fn the_newest_refresh_token_of_a_session_is_touched(store: &impl Backend) {
    const USE: LastUse = LastUse { at: Timestamp(77), idle_expires_at: Timestamp(88) };
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let newest = |of| store.read(move |tx| tx.newest_refresh_token(&session_id(of)));
    assert_eq!(newest("s_1").await.unwrap(), None);
    for (n, of) in [(2, "s_1"), (3, "s_1"), (1, "s_1"), (9, "s_2")] {
        store.write(move |tx| tx.insert_refresh_token(&token(n, of))).await.unwrap();
    }
    assert_eq!(newest("s_1").await.unwrap(), Some(token(3, "s_1")));
    let touch = |n| store.write(move |tx| tx.touch_refresh_token(&place(n, "s_1"), USE));
    touch(3).await.unwrap();
    let touched = RefreshToken { last_use: USE, ..token(3, "s_1") };
    assert_eq!(newest("s_1").await.unwrap(), Some(touched));
    let others = store
        .read(|tx| Ok::<_, StoreError>([tx.refresh_token(&place(2, "s_1"))?, tx.refresh_token(&place(9, "s_2"))?]));
    assert_eq!(others.await.unwrap(), [Some(token(2, "s_1")), Some(token(9, "s_2"))]);
    assert!(touch(4).await.is_err(), "there is no such token");
}

pub(crate) async fn used_refresh_tokens_are_forgotten_some_at_a_time(store: &impl Backend) {
    const USED: u8 = 100;
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let used = |n: u8, of: &str| {
        let rotation = Rotation { at: Timestamp(n.into()), sealed_successor: vec![n] };
        RefreshToken { rotation: Some(rotation), ..token(n, of) }
    };
    let written = store.write(move |tx| {
        for n in 1..=USED {
            tx.insert_refresh_token(&used(n, "s_1"))?;
        }
        tx.insert_refresh_token(&token(USED + 1, "s_1"))?;
        tx.insert_refresh_token(&used(1, "s_2"))?;
        tx.insert_refresh_token(&used(2, "s_2"))
    });
    written.await.unwrap();
    let forget =
        |before: u64| store.write(move |tx| tx.forget_used_refresh_tokens(&session_id("s_1"), Timestamp(before)));
    let kept = |of: &'static str| {
        store.read(move |tx| {
            let mut kept = Vec::new();
            for n in 0..=u8::MAX {
                kept.extend(tx.refresh_token(&place(n, of))?.map(|_| n));
            }
            Ok::<_, StoreError>(kept)
        })
    };
    forget(11).await.unwrap();
    let later: Vec<u8> = (11..=USED + 1).collect();
    assert_eq!(kept("s_1").await.unwrap(), later, "those that were used before");
    let mut left = vec![later.len()];
    while left.last() != Some(&1) {
        forget(u64::MAX >> 1).await.unwrap();
        left.push(kept("s_1").await.unwrap().len());
        assert!(left.is_sorted_by(|before, after| before > after), "some each time: {left:?}");
    }
    assert!(left.len() > 2, "not all of them at once: {left:?}");
    assert_eq!(kept("s_1").await.unwrap(), [USED + 1], "the one that was not used");
    assert_eq!(kept("s_2").await.unwrap(), [1, 2], "another session's");
}

pub(crate) async fn expired_sessions_are_forgotten_with_their_tokens(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    store.with_clients(&["web"]).await;
    store
        .write(|tx| {
            for (n, id, expires_at) in [(1, "s_1", 99), (3, "s_2", 100), (5, "s_3", 101)] {
                tx.insert_session(&Session { expires_at: Timestamp(expires_at), ..session(id, "u_1") })?;
                tx.insert_refresh_token(&token(n, id))?;
                tx.insert_refresh_token(&token(n + 1, id))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let forget = |before| store.write(move |tx| tx.forget_expired_sessions(Timestamp(before)));
    assert_eq!((forget(100).await.unwrap(), forget(100).await.unwrap()), (1, 0));
    let left = store
        .read(|tx| {
            let page = Page { after: None, limit: 9 };
            let sessions = tx.sessions_of(&user_id("u_1"), &page)?.len();
            let places = (1..).zip(["s_1", "s_1", "s_2", "s_2", "s_3", "s_3"]);
            let tokens: Vec<bool> = places
                .map(|(n, of)| Ok(tx.refresh_token(&place(n, of))?.is_some()))
                .collect::<Result<_, StoreError>>()?;
            Ok::<_, StoreError>((sessions, tokens))
        })
        .await
        .unwrap();
    assert_eq!(left, (2, vec![false, false, true, true, true, true]));
}
