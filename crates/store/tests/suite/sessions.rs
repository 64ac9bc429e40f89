//! Sessions.

use super::*;

pub(crate) async fn a_session_is_read_back_whole(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    store.with_clients(&["web"]).await;
    let full = Session {
        epoch: 12,
        scope: Some("cars:buy".to_owned()),
        expires_at: Timestamp(4_000),
        token_key: Some(TokenKey::from_bytes([7; 32])),
        ended_at: Some(Timestamp(2_500)),
        origin: SessionOrigin { address: Some("::1".to_owned()), user_agent: Some("Mözilla".to_owned()) },
        ..session("s_full", "u_1")
    };
    for session in [full, session("s_empty", "u_1")] {
        let new = session.clone();
        store.write(move |tx| tx.insert_session(&new)).await.unwrap();
        let id = session.id.clone();
        assert_eq!(store.read(move |tx| tx.session(&id)).await.unwrap(), Some(session));
    }
    assert_eq!(store.read(|tx| tx.session(&session_id("s_none"))).await.unwrap(), None);
    assert!(store.write(|tx| tx.insert_session(&session("s_empty", "u_1"))).await.is_err());
    assert!(store.write(|tx| tx.insert_session(&session("s_new", "u_none"))).await.is_err());
}

pub(crate) async fn sessions_come_in_pages_without_the_ended(store: &impl Backend) {
    store.with_sessions(&[("s_c", "u_1"), ("s_a", "u_1"), ("s_B", "u_1"), ("s_d", "u_1"), ("s_x", "u_2")]).await;
    store.write(|tx| tx.end_session(&session_id("s_c"), Timestamp(5))).await.unwrap();
    let expired = Session { expires_at: Timestamp(0), ..session("s_e", "u_1") };
    store.write(move |tx| tx.insert_session(&expired)).await.unwrap();
    let of = |user| {
        pages(store, move |tx, page| {
            let found = tx.sessions_of(&user_id(user), page)?;
            Ok(found.into_iter().map(|(session, _)| session.id.to_string()).collect())
        })
    };
    assert_eq!(of("u_1").await, ["s_B", "s_a", "s_d", "s_e"], "expired ones too");
    assert_eq!(of("u_2").await, ["s_x"]);
    assert_eq!(of("u_none").await, [""; 0]);
}

/// Its newest refresh token tells.
pub(crate) async fn sessions_are_listed_with_their_last_use(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let use_of = |n: u64| LastUse { at: Timestamp(n), idle_expires_at: Timestamp(n + 50) };
    store
        .write(move |tx| {
            for n in [5_u8, 3] {
                tx.insert_refresh_token(&RefreshToken { last_use: use_of(n.into()), ..token(n, "s_1") })?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let listed = || {
        let page = Page { after: None, limit: 9 };
        store.read(move |tx| tx.sessions_of(&user_id("u_1"), &page))
    };
    let unused = LastUse { at: Timestamp(1_000), idle_expires_at: Timestamp(3_000) };
    let [first, second] = ["s_1", "s_2"].map(|id| session(id, "u_1"));
    assert_eq!(listed().await.unwrap(), [(first.clone(), use_of(5)), (second.clone(), unused)]);
    store.write(move |tx| tx.touch_refresh_token(&place(5, "s_1"), use_of(9))).await.unwrap();
    assert_eq!(listed().await.unwrap(), [(first, use_of(9)), (second, unused)]);
}

pub(crate) async fn a_session_ends_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let end = |id, at| store.write(move |tx| tx.end_session(&session_id(id), Timestamp(at)));
    assert!(end("s_1", 5).await.unwrap());
    assert!(!end("s_1", 6).await.unwrap());
    assert!(!end("s_none", 6).await.unwrap());
    let [first, second] = ["s_1", "s_2"].map(|id| store.read(move |tx| tx.session(&session_id(id))));
    assert_eq!(first.await.unwrap().unwrap().ended_at, Some(Timestamp(5)));
    assert_eq!(second.await.unwrap().unwrap().ended_at, None);
}

pub(crate) async fn all_sessions_of_a_person_end(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1"), ("s_3", "u_1"), ("s_4", "u_2")]).await;
    store.write(|tx| tx.end_session(&session_id("s_1"), Timestamp(5))).await.unwrap();
    let end = || store.write(|tx| tx.end_sessions_of(&user_id("u_1"), Timestamp(6)));
    assert_eq!((end().await.unwrap(), end().await.unwrap()), (2, 0));
    let mut ended = Vec::new();
    for id in ["s_1", "s_2", "s_3", "s_4"] {
        let session = store.read(move |tx| tx.session(&session_id(id))).await.unwrap().unwrap();
        ended.push(session.ended_at.map(|at| at.0));
    }
    assert_eq!(ended, [Some(5), Some(6), Some(6), None]);
}

pub(crate) async fn all_sessions_end(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1"), ("s_3", "u_2")]).await;
    store.write(|tx| tx.end_session(&session_id("s_1"), Timestamp(5))).await.unwrap();
    let end = || store.write(|tx| tx.end_all_sessions(Timestamp(6)));
    assert_eq!((end().await.unwrap(), end().await.unwrap()), (2, 0));
    for (id, at) in [("s_1", 5), ("s_2", 6), ("s_3", 6)] {
        let session = store.read(move |tx| tx.session(&session_id(id))).await.unwrap().unwrap();
        assert_eq!(session.ended_at, Some(Timestamp(at)), "{id}");
    }
}
