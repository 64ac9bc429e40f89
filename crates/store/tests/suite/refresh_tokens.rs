//! Refresh tokens.

use super::*;

pub(crate) async fn a_refresh_token_is_used_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1")]).await;
    let find = |n: u8| store.read(move |tx| tx.refresh_token(&hash(n)));
    store.write(|tx| tx.insert_refresh_token(&token(1, "s_1"))).await.unwrap();
    assert_eq!(find(1).await.unwrap(), Some(token(1, "s_1")));
    let rotation = |n: u8| Rotation { at: Timestamp(n.into()), successor: hash(n), sealed_successor: vec![n; 75] };
    let rotate = |of, to| store.write(move |tx| tx.rotate_refresh_token(&hash(of), &rotation(to)));
    assert!(rotate(1, 2).await.unwrap());
    assert!(!rotate(1, 3).await.unwrap(), "it was used before");
    assert!(!rotate(9, 3).await.unwrap(), "there is no such token");
    let used = RefreshToken { rotation: Some(rotation(2)), ..token(1, "s_1") };
    assert_eq!(find(1).await.unwrap(), Some(used.clone()));
    assert_eq!(find(9).await.unwrap(), None);
    // One that was used before it came in.
    let used = RefreshToken { hash: hash(4), ..used };
    let new = used.clone();
    store.write(move |tx| tx.insert_refresh_token(&new)).await.unwrap();
    assert_eq!(find(4).await.unwrap(), Some(used));
}

pub(crate) async fn a_refresh_token_needs_a_session_and_is_there_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let insert = |n, of| store.write(move |tx| tx.insert_refresh_token(&token(n, of)));
    insert(1, "s_1").await.unwrap();
    assert!(insert(1, "s_2").await.is_err());
    assert!(insert(2, "s_none").await.is_err());
    assert_eq!(store.read(|tx| tx.refresh_token(&hash(1))).await.unwrap(), Some(token(1, "s_1")));
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
            let tokens: Vec<bool> =
                (1..=6).map(|n| Ok(tx.refresh_token(&hash(n))?.is_some())).collect::<Result<_, StoreError>>()?;
            Ok::<_, StoreError>((sessions, tokens))
        })
        .await
        .unwrap();
    assert_eq!(left, (2, vec![false, false, true, true, true, true]));
}
