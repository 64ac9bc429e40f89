//! People.

use super::*;

pub(crate) async fn a_user_is_read_back_by_id_and_name(store: &impl Backend) {
    let full = User {
        email: Some("ann@example.org".to_owned()),
        password_hash: Some("$argon2id$…".to_owned()),
        disabled: true,
        ended_seq: 7,
        ..user("u_full", "анна")
    };
    let empty = User { email: None, password_hash: None, ..user("u_empty", "bob") };
    for user in [full, empty] {
        let new = user.clone();
        assert!(store.write(move |tx| tx.insert_user(&new)).await.unwrap());
        let (id, name) = (user.id.clone(), user.username.clone());
        let found = store.read(move |tx| Ok::<_, StoreError>((tx.user(&id)?, tx.user_by_username(&name)?)));
        assert_eq!(found.await.unwrap(), (Some(user.clone()), Some(user)));
    }
    let missing = store.read(|tx| Ok::<_, StoreError>((tx.user(&user_id("u_none"))?, tx.user_by_username("Bob")?)));
    assert_eq!(missing.await.unwrap(), (None, None));
}

pub(crate) async fn a_username_is_given_once(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    let second = User { username: "u_1".to_owned(), ..user("u_2", "") };
    assert!(!store.write(move |tx| tx.insert_user(&second)).await.unwrap());
    assert_eq!(store.read(|tx| tx.user(&user_id("u_2"))).await.unwrap(), None);
    // An id that is there is no answer but a failure: ids are drawn, not chosen.
    let same_id = user("u_1", "other");
    assert!(store.write(move |tx| tx.insert_user(&same_id)).await.is_err());
    assert_eq!(store.read(|tx| tx.user_by_username("other")).await.unwrap(), None);
}

pub(crate) async fn a_user_is_updated_but_for_name_and_creation(store: &impl Backend) {
    store.with_people(&["u_1", "u_2"]).await;
    let changed = User {
        email: Some("new@example.org".to_owned()),
        password_hash: None,
        disabled: true,
        ended_seq: 9,
        ..user("u_1", "renamed")
    };
    let change = User { created_at: Timestamp(1), ..changed.clone() };
    store.write(move |tx| tx.update_user(&change)).await.unwrap();
    let [first, second] = ["u_1", "u_2"].map(|id| store.read(move |tx| tx.user(&user_id(id))));
    assert_eq!(first.await.unwrap(), Some(User { username: "u_1".to_owned(), version: 2, ..changed }));
    assert_eq!(second.await.unwrap(), Some(user("u_2", "u_2")));
    let unknown = user("u_3", "u_3");
    assert!(store.write(move |tx| tx.update_user(&unknown)).await.is_err());
}

pub(crate) async fn users_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_people(&["u_b", "u_C", "u_a", "u_10", "u_9", "u_-"]).await;
    let all = pages(store, |tx, page| Ok(tx.users(page)?.into_iter().map(|user| user.id.to_string()).collect())).await;
    assert_eq!(all, ["u_-", "u_10", "u_9", "u_C", "u_a", "u_b"], "in the order of their bytes");
}
