//! Clients.

use super::*;

pub(crate) async fn a_client_is_read_back(store: &impl Backend) {
    let full = Client {
        name: "A \"client\", with\nlines".to_owned(),
        secret: Some(hash(3)),
        previous_secret: Some(PreviousSecret { secret: hash(4), until: Timestamp(9) }),
        auth_method: AuthMethod::ClientSecretPost,
        redirect_uris: vec!["https://app.example/cb?a=\"b\"".to_owned()],
        first_party: true,
        grant_types: vec![GrantType::TokenExchange, GrantType::Password],
        audiences: vec![service_id("posts"), service_id("cars")],
        disabled: true,
        ..client("full")
    };
    for client in [full, client("empty")] {
        let new = client.clone();
        assert!(store.write(move |tx| tx.insert_client(&new)).await.unwrap());
        let id = client.id.clone();
        assert_eq!(store.read(move |tx| tx.client(&id)).await.unwrap(), Some(client));
    }
    assert_eq!(store.read(|tx| tx.client(&client_id("none"))).await.unwrap(), None);
}

pub(crate) async fn a_client_id_is_given_once(store: &impl Backend) {
    store.with_clients(&["web"]).await;
    let second = Client { name: "another".to_owned(), ..client("web") };
    assert!(!store.write(move |tx| tx.insert_client(&second)).await.unwrap());
    assert_eq!(store.read(|tx| tx.client(&client_id("web"))).await.unwrap(), Some(client("web")));
}

pub(crate) async fn a_client_is_updated_but_for_its_creation(store: &impl Backend) {
    store.with_clients(&["web", "other"]).await;
    let changed = Client {
        name: "renamed".to_owned(),
        secret: Some(hash(9)),
        previous_secret: Some(PreviousSecret { secret: hash(4), until: Timestamp(9) }),
        auth_method: AuthMethod::ClientSecretPost,
        redirect_uris: vec!["https://app.example/cb".to_owned()],
        first_party: true,
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        audiences: vec![service_id("cars")],
        disabled: true,
        ..client("web")
    };
    let change = Client { created_at: Timestamp(1), ..changed.clone() };
    store.write(move |tx| tx.update_client(&change)).await.unwrap();
    let [first, second] = ["web", "other"].map(|id| store.read(move |tx| tx.client(&client_id(id))));
    assert_eq!(first.await.unwrap(), Some(Client { version: 2, ..changed }));
    assert_eq!(second.await.unwrap(), Some(client("other")));
    assert!(store.write(|tx| tx.update_client(&client("none"))).await.is_err());
}

pub(crate) async fn clients_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_clients(&["b", "C", "a", "10", "9"]).await;
    let all = pages(store, |tx, page| Ok(tx.clients(page)?.into_iter().map(|found| found.id.to_string()).collect()));
    assert_eq!(all.await, ["10", "9", "C", "a", "b"]);
}
