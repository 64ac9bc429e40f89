//! Roles and who holds them; more in [`super::directory`].

use super::*;

pub(crate) async fn a_role_is_given_and_taken_once(store: &impl Backend) {
    store.with_roles().await;
    for holder in [Holder::User(user_id("u_1")), Holder::Client(client_id("web"))] {
        let [given, again, held, taken, gone, left] = store
            .write(move |tx| {
                let buyer = role("cars", "buyer");
                Ok::<_, StoreError>([
                    tx.give_role(&holder, &buyer)?,
                    tx.give_role(&holder, &buyer)?,
                    tx.roles_of_holder(&holder)? == [buyer.clone()],
                    tx.take_role(&holder, &buyer)?,
                    tx.take_role(&holder, &buyer)?,
                    !tx.roles_of_holder(&holder)?.is_empty(),
                ])
            })
            .await
            .unwrap();
        assert_eq!([given, again, held, taken, gone, left], [true, false, true, true, false, false]);
    }
}

pub(crate) async fn holders_roles_come_in_order_and_people_are_not_clients(store: &impl Backend) {
    store.with_roles().await;
    let (person, client) = (Holder::User(user_id("u_1")), Holder::Client(client_id("web")));
    let [of_person, of_client] = store
        .write(move |tx| {
            for (service, name) in [("posts", "admin"), ("cars", "buyer"), ("cars", "admin")] {
                tx.give_role(&person, &role(service, name))?;
            }
            tx.give_role(&client, &role("posts", "admin"))?;
            Ok::<_, StoreError>([tx.roles_of_holder(&person)?, tx.roles_of_holder(&client)?])
        })
        .await
        .unwrap();
    assert_eq!(of_person, [role("cars", "admin"), role("cars", "buyer"), role("posts", "admin")]);
    assert_eq!(of_client, [role("posts", "admin")]);
}

pub(crate) async fn a_role_of_nothing_cannot_be_given(store: &impl Backend) {
    store.with_roles().await;
    let give = |holder, role| store.write(move |tx| tx.give_role(&holder, &role));
    assert!(give(Holder::User(user_id("u_1")), role("cars", "none")).await.is_err());
    assert!(give(Holder::User(user_id("u_none")), role("cars", "buyer")).await.is_err());
    assert!(give(Holder::Client(client_id("none")), role("cars", "buyer")).await.is_err());
}
