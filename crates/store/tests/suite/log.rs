//! The log, its limits and leases.

use super::*;

pub(crate) async fn events_follow_each_other(store: &impl Backend) {
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), LogState::default());
    let append = |key: &'static str| store.write(move |tx| tx.append_event("token_revoked", key, "", Timestamp(5)));
    assert_eq!((append("a").await.unwrap(), append("b").await.unwrap()), (1, 2));
    let failed = store.write(|tx| {
        tx.append_event("token_revoked", "c", "", Timestamp(5))?;
        Err::<(), _>(StoreError::Busy)
    });
    assert!(failed.await.is_err());
    assert_eq!(append("d").await.unwrap(), 3, "what was not committed has no place");
    let in_one = store.write(|tx| {
        let first = tx.append_event("keys_changed", "cars", "{\"keys\":[]}", Timestamp(6))?;
        Ok::<_, StoreError>((first, tx.append_event("keys_changed", "cars", "", Timestamp(7))?, tx.log_state()?.head))
    });
    assert_eq!(in_one.await.unwrap(), (4, 5, 5));
    let rows = store.read(|tx| tx.events_after(2, 2)).await.unwrap();
    let event = |seq, kind: &str, key: &str, payload: &str, at| LogRow {
        seq,
        kind: kind.to_owned(),
        key: key.to_owned(),
        payload: payload.to_owned(),
        until: 0,
        at: Timestamp(at),
    };
    assert_eq!(rows, [event(3, "token_revoked", "d", "", 5), event(4, "keys_changed", "cars", "{\"keys\":[]}", 6)]);
}

pub(crate) async fn the_last_event_of_a_key_is_found(store: &impl Backend) {
    store.with_events(&[("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")]).await;
    let last = |kind: &'static str, key: &'static str| store.read(move |tx| tx.last_event(kind, key));
    assert_eq!(last("a", "x").await.unwrap(), Some(4));
    assert_eq!(last("a", "y").await.unwrap(), Some(2));
    assert_eq!(last("b", "x").await.unwrap(), Some(3));
    assert_eq!(last("b", "y").await.unwrap(), None);
    assert_eq!(last("A", "x").await.unwrap(), None);
    for count in [0, 1, 7, 8, 9, 25] {
        let pairs = [("a", "x"), ("b", "y"), ("a", "y"), ("b", "x"), ("A", "x")];
        let asked: Vec<_> = pairs.into_iter().cycle().take(count).collect();
        let found = store.read(move |tx| {
            let one_by_one: Result<Vec<_>, _> = asked.iter().map(|(kind, key)| tx.last_event(kind, key)).collect();
            Ok::<_, StoreError>((tx.last_events(&asked)?, one_by_one?))
        });
        let (at_once, one_by_one) = found.await.unwrap();
        assert_eq!((at_once.len(), &at_once), (count, &one_by_one));
    }
}

pub(crate) async fn events_are_read_in_pages(store: &impl Backend) {
    store.with_events(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")]).await;
    let after = |seq, limit| {
        let read = store.read(move |tx| tx.events_after(seq, limit));
        async { read.await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>() }
    };
    assert_eq!(after(0, 2).await, [1, 2]);
    assert_eq!(after(2, 2).await, [3, 4]);
    assert_eq!(after(4, 2).await, [5]);
    assert_eq!(after(5, 2).await, [0; 0]);
    assert_eq!(after(0, 0).await, [0; 0]);
    assert_eq!(after(u64::MAX, 2).await, [0; 0]);
    assert_eq!(after(3, usize::MAX).await, [4, 5]);
}

pub(crate) async fn limits_only_grow_and_are_kept_with_the_events(store: &impl Backend) {
    let raise = |ceiling, floor| store.write(move |tx| tx.raise_log_limits(ceiling, floor));
    let state = |head, exp_ceiling, floor| LogState { head, exp_ceiling, floor };
    assert_eq!(raise(100, 10).await.unwrap(), state(0, 100, 10));
    assert_eq!(raise(90, 20).await.unwrap(), state(0, 100, 20));
    store.with_events(&[("a", "x")]).await;
    assert_eq!(raise(200, 5).await.unwrap(), state(1, 200, 20));
    store.with_events(&[("a", "y")]).await;
    let untils: Vec<u64> =
        store.read(|tx| tx.events_after(0, 9)).await.unwrap().iter().map(|event| event.until).collect();
    assert_eq!(untils, [100, 200], "the ceiling at the commit");
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), state(2, 200, 20));
}

pub(crate) async fn events_that_the_floor_passed_are_dropped(store: &impl Backend) {
    let raise = |ceiling, floor| store.write(move |tx| tx.raise_log_limits(ceiling, floor));
    let left = || {
        let read = store.read(|tx| tx.events_after(0, 99));
        async { read.await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>() }
    };
    for ceiling in [100, 101, 102] {
        raise(ceiling, 0).await.unwrap();
        store.with_events(&[("a", "x"), ("a", "y")]).await;
    }
    raise(0, 99).await.unwrap();
    assert_eq!(left().await, [1, 2, 3, 4, 5, 6]);
    raise(0, 100).await.unwrap();
    assert_eq!(left().await, [3, 4, 5, 6], "until at the floor is dropped");
    raise(0, 50).await.unwrap();
    assert_eq!(left().await, [3, 4, 5, 6]);
    assert_eq!(store.read(|tx| tx.last_event("a", "x")).await.unwrap(), Some(5));
    raise(0, 500).await.unwrap();
    assert_eq!(left().await, [0; 0]);
    assert_eq!(store.read(|tx| tx.last_event("a", "x")).await.unwrap(), None);
    let next = store.write(|tx| tx.append_event("a", "x", "", Timestamp(0))).await.unwrap();
    assert_eq!(next, 7, "no place is used twice");
}

pub(crate) async fn the_head_is_raised_and_never_lowered(store: &impl Backend) {
    store.with_events(&[("a", "x")]).await;
    let next = |head| {
        store.write(move |tx| {
            tx.raise_head(head)?;
            tx.append_event("a", "x", "", Timestamp(0))
        })
    };
    assert_eq!(next(1 << 40).await.unwrap(), (1 << 40) + 1);
    assert_eq!(next(7).await.unwrap(), (1 << 40) + 2);
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap().head, (1 << 40) + 2);
    next(u64::MAX).await.unwrap_err();
}

pub(crate) async fn the_longest_lease_only_grows(store: &impl Backend) {
    let longest = || store.read(|tx| tx.longest_lease_ms());
    assert_eq!(longest().await.unwrap(), 0);
    for (raised, longest_then) in [(3_000, 3_000), (1_000, 3_000), (3_000, 3_000), (4_000, 4_000), (0, 4_000)] {
        store.write(move |tx| tx.raise_longest_lease_ms(raised)).await.unwrap();
        assert_eq!(longest().await.unwrap(), longest_then);
    }
}

pub(crate) async fn numbers_that_do_not_fit_are_refused(store: &impl Backend) {
    let most = u64::try_from(i64::MAX).unwrap();
    assert!(store.write(move |tx| tx.raise_longest_lease_ms(most + 1)).await.is_err());
    assert!(store.write(move |tx| tx.raise_log_limits(most + 1, 0)).await.is_err());
    assert!(store.write(move |tx| tx.append_event("a", "x", "", Timestamp(u64::MAX))).await.is_err());
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), LogState::default(), "and nothing was written");
    store.write(move |tx| tx.raise_longest_lease_ms(most)).await.unwrap();
    assert_eq!(store.read(|tx| tx.longest_lease_ms()).await.unwrap(), most);
}
