//! Services.

use super::*;

pub(crate) async fn a_service_is_read_back_by_id_and_uri(store: &impl Backend) {
    let full = Service {
        alg: SigningAlg::Rs256,
        resource_uri: Some("https://cars.example/api".to_owned()),
        access_ttl_s: Some(u32::MAX),
        rotate_every_s: Some(0),
        ..service("cars")
    };
    for service in [full.clone(), service("posts")] {
        let new = service.clone();
        assert!(store.write(move |tx| tx.insert_service(&new)).await.unwrap());
        let id = service.id.clone();
        assert_eq!(store.read(move |tx| tx.service(&id)).await.unwrap(), Some(service));
    }
    let by_uri = |uri: &'static str| store.read(move |tx| tx.service_by_resource(uri));
    assert_eq!(by_uri("https://cars.example/api").await.unwrap(), Some(full));
    assert_eq!(by_uri("https://cars.example/API").await.unwrap(), None);
    assert_eq!(by_uri("").await.unwrap(), None);
    assert_eq!(store.read(|tx| tx.service(&service_id("none"))).await.unwrap(), None);
}

pub(crate) async fn a_service_id_and_a_uri_are_given_once(store: &impl Backend) {
    let cars = Service { resource_uri: Some("urn:cars".to_owned()), ..service("cars") };
    for (new, taken) in [
        (cars.clone(), false),
        (Service { alg: SigningAlg::Rs256, ..service("cars") }, true),
        (Service { resource_uri: Some("urn:cars".to_owned()), ..service("posts") }, true),
        // Any number of services have no URI.
        (service("users"), false),
        (service("vans"), false),
    ] {
        assert_eq!(store.write(move |tx| tx.insert_service(&new)).await.unwrap(), !taken);
    }
    assert_eq!(store.read(|tx| tx.service(&service_id("cars"))).await.unwrap(), Some(cars));
    assert_eq!(store.read(|tx| tx.service(&service_id("posts"))).await.unwrap(), None);
}

pub(crate) async fn services_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_services(&["posts", "cars", "users", "a9", "a10", "a-"]).await;
    let all = pages(store, |tx, page| Ok(tx.services(page)?.into_iter().map(|found| found.id.to_string()).collect()));
    assert_eq!(all.await, ["a-", "a10", "a9", "cars", "posts", "users"]);
}
